use std::sync::Arc;
use std::time::Duration;

use ::redis::{RedisError, Value};
use steadfast_core::Event;
use steadfast_core::transport::{Error, Outcome};
use tokio::time::Instant;

use super::connector::{Connection, Connector};
use super::entry::{self, EntryId};
use super::{Config, error, names, script};
use crate::sharded::{Kind, Member, Word};

/// What one receiver of a group asks Redis.
pub(super) struct Group {
    pub(super) config: Config,
    name: Arc<str>,
    /// The receiver's own name, as a member of the group and as a consumer.
    me: String,
    owners: String,
    alive: String,
    streams: Vec<String>,
}

/// An entry as Redis gives it.
pub(super) struct Read {
    pub(super) id: EntryId,
    /// How often it was handed out before.
    pub(super) redeliveries: u32,
    /// The event, or why it is none.
    pub(super) event: Result<Event, String>,
    fields: Vec<Value>,
}

/// What the receiver owns.
pub(super) struct Lease {
    pub(super) epoch: i64,
    pub(super) quota: usize,
    pub(super) owned: Vec<u32>,
    /// Until when that holds, by our own clock.
    pub(super) until: Instant,
    /// Who is in the group.
    pub(super) members: Vec<Member>,
}

/// What was taken over.
pub(super) enum Claimed {
    /// The shard is not ours any more.
    Lost,
    /// There are entries, and more may follow.
    Some { entries: Vec<Read>, after: EntryId, done: bool, delivered: EntryId },
}

/// What was read of one shard; none if it is not ours any more.
pub(super) type ShardRead = (u32, Option<Vec<Read>>);

/// Name, beat, and lease in milliseconds.
type MemberFound = (String, u64, u64);

/// What a receiver notes.
pub(super) struct Entries;

/// What is noted of a shard.
pub(super) struct Note {
    /// What others left is taken over first, behind this entry; none once that is done.
    pub(super) claim_after: Option<EntryId>,
    /// The last entry that the group has been given.
    pub(super) delivered: EntryId,
}

impl Kind for Entries {
    type Id = EntryId;
    type Handle = ();
    type Note = Note;
}

impl Default for Note {
    fn default() -> Self {
        Self { claim_after: Some(EntryId::default()), delivered: EntryId::default() }
    }
}

impl Group {
    pub(super) fn new(config: Config, name: &Arc<str>) -> Self {
        // A name of its own for each receiver; it sorts by time, so that those who came first have the larger share.
        let me = steadfast_core::EventId::generate().to_string();
        let streams = (0..config.shards).map(|shard| names::stream(&config, shard)).collect();
        Self {
            owners: names::owners(&config, name),
            alive: names::alive(&config, name),
            name: Arc::clone(name),
            config,
            me,
            streams,
        }
    }

    pub(super) fn stream(&self, shard: u32) -> &str {
        &self.streams[shard as usize]
    }

    /// Makes the group in each shard where it is not there.
    pub(super) async fn create(
        &self,
        connector: &Connector,
        connection: &Connection,
        oldest: bool,
    ) -> Result<(), Error> {
        for stream in &self.streams {
            let mut create = ::redis::cmd("XGROUP");
            create
                .arg("CREATE")
                .arg(stream)
                .arg(&*self.name)
                .arg(if oldest { "0" } else { "$" })
                .arg("MKSTREAM");
            let created: Result<(), RedisError> = connector
                .run(connection, |mut commands| async move { create.query_async(&mut commands).await })
                .await;
            match created {
                Err(error) if error.code() == Some("BUSYGROUP") => {}
                Err(error) => return Err(error::map(&error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Says that we are alive and that those of `dead` are not, gives `given` back, and asks what we own.
    pub(super) async fn lease(
        &self,
        connector: &Connector,
        connection: &Connection,
        dead: &[Member],
        given: &[u32],
    ) -> Result<Lease, RedisError> {
        let until = Instant::now() + self.config.lease.0;
        let mut invocation = script::LEASE.prepare_invoke();
        invocation.key(&self.owners).key(&self.alive);
        invocation.arg(&self.me).arg(milliseconds(self.config.lease.0)).arg(self.config.shards);
        invocation.arg(dead.len());
        for member in dead {
            invocation.arg(&member.name).arg(member.beat);
        }
        invocation.arg(given);
        let (epoch, quota, owned, members): (i64, usize, Vec<u32>, Vec<MemberFound>) = connector
            .run(connection, |mut commands| async move { invocation.invoke_async(&mut commands).await })
            .await?;
        let member = |(name, beat, lease)| Member { name, beat, lease: Duration::from_millis(lease) };
        Ok(Lease { epoch, quota, owned, until, members: members.into_iter().map(member).collect() })
    }

    /// Gives everything back.
    pub(super) async fn leave(
        &self,
        connector: &Connector,
        connection: &Connection,
    ) -> Result<(), RedisError> {
        let mut invocation = script::LEAVE.prepare_invoke();
        invocation.key(&self.owners).key(&self.alive);
        for stream in &self.streams {
            invocation.key(stream);
        }
        invocation.arg(&self.me).arg(&*self.name);
        connector
            .run(connection, |mut commands| async move { invocation.invoke_async(&mut commands).await })
            .await
    }

    /// Takes over entries of `shard` behind `after` that were handed out and not acknowledged.
    pub(super) async fn claim(
        &self,
        connector: &Connector,
        connection: &Connection,
        shard: u32,
        after: EntryId,
        count: usize,
    ) -> Result<Claimed, RedisError> {
        let mut invocation = script::CLAIM.prepare_invoke();
        invocation.key(&self.owners).key(&self.alive).key(self.stream(shard));
        invocation.arg(&self.me).arg(&*self.name).arg(shard).arg(after.to_string()).arg(count);
        let answer: Vec<Value> = connector
            .run(connection, |mut commands| async move { invocation.invoke_async(&mut commands).await })
            .await?;
        let state = answer.first().and_then(entry::text).unwrap_or_default();
        if state == "lost" {
            return Ok(Claimed::Lost);
        }
        let done = state == "done";
        let position = |index: usize| answer.get(index).and_then(EntryId::of);
        let (Some(after), Some(delivered)) = (position(1), position(2)) else {
            return Err((::redis::ErrorKind::UnexpectedReturnType, "a claim without positions").into());
        };
        let entries = answer.into_iter().skip(3).filter_map(Read::of).collect();
        Ok(Claimed::Some { entries, after, done, delivered })
    }

    /// Reads new entries of `shards`, at most `room`.
    pub(super) async fn read(
        &self,
        connector: &Connector,
        connection: &Connection,
        shards: &[u32],
        room: usize,
    ) -> Result<(i64, Vec<ShardRead>), RedisError> {
        let mut invocation = script::READ.prepare_invoke();
        invocation.key(&self.owners);
        for &shard in shards {
            invocation.key(self.stream(shard));
        }
        let each = room.div_ceil(shards.len().max(1));
        invocation.arg(&self.me).arg(&*self.name).arg(room).arg(each).arg(shards);
        let answer: Vec<Value> = connector
            .run(connection, |mut commands| async move { invocation.invoke_async(&mut commands).await })
            .await?;
        let mut answer = answer.into_iter();
        let epoch = answer.next().and_then(|epoch| integer(&epoch)).unwrap_or_default();
        let read = answer.filter_map(|shard| {
            let Value::Array(mut pair) = shard else { return None };
            let entries = match pair.pop()? {
                Value::Array(entries) => Some(entries.into_iter().filter_map(Read::of).collect()),
                _ => None,
            };
            Some((u32::try_from(integer(&pair.pop()?)?).ok()?, entries))
        });
        Ok((epoch, read.collect()))
    }

    /// Tells Redis what became of events.
    pub(super) async fn tell(
        &self,
        connector: &Connector,
        connection: &Connection,
        words: &[Word<Entries>],
    ) -> Result<(), RedisError> {
        let mut pipeline = ::redis::pipe();
        for word in words {
            let (stream, id) = (self.stream(word.shard), word.id.to_string());
            match word.outcome {
                Outcome::Handled => pipeline.cmd("XACK").arg(stream).arg(&*self.name).arg(id).ignore(),
                // Whoever claims it after us shall know how often it was handed out.
                Outcome::Released => {
                    pipeline.cmd("XCLAIM").arg(stream).arg(&*self.name).arg(&self.me).arg(0).arg(id);
                    pipeline.arg("RETRYCOUNT").arg(word.deliveries).arg("JUSTID").ignore()
                }
            };
        }
        connector
            .run(connection, |mut commands| async move { pipeline.query_async(&mut commands).await })
            .await
    }

    /// Puts an entry that is no event aside, and acknowledges it.
    pub(super) async fn refuse(
        &self,
        connector: &Connector,
        connection: &Connection,
        shard: u32,
        read: &Read,
    ) -> Result<(), RedisError> {
        let mut pipeline = ::redis::pipe();
        pipeline.atomic().cmd("XADD").arg(names::refused(&self.config));
        pipeline.arg("MAXLEN").arg("~").arg(self.config.length_max).arg("*");
        for field in &read.fields {
            pipeline.arg(match field {
                Value::BulkString(bytes) => &bytes[..],
                _ => &[],
            });
        }
        pipeline
            .ignore()
            .cmd("XACK")
            .arg(self.stream(shard))
            .arg(&*self.name)
            .arg(read.id.to_string())
            .ignore();
        connector
            .run(connection, |mut commands| async move { pipeline.query_async(&mut commands).await })
            .await
    }
}

impl Read {
    /// Takes `[id, fields]` or `[id, deliveries, fields]`.
    fn of(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let id = EntryId::of(parts.first()?)?;
        let redeliveries = match parts.len() {
            3 => u32::try_from(integer(&parts[1])?).unwrap_or(u32::MAX),
            _ => 0,
        };
        let fields = match parts.into_iter().next_back()? {
            Value::Array(fields) => fields,
            _ => return None,
        };
        let event = entry::decode(id, &fields);
        // What an event is made of is not kept a second time.
        let fields = if event.is_ok() { Vec::new() } else { fields };
        Some(Self { id, redeliveries, event, fields })
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(integer) => Some(*integer),
        _ => entry::text(value)?.parse().ok(),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
