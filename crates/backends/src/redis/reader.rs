use std::sync::Arc;
use std::time::Duration;

use ::redis::{RedisError, Value};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::{Backoff, Classify, Rng, Seed};
use steadfast_core::transport::{Error, LinkState};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connector::{Connection, Connector};
use super::entry::{self, EntryId};
use super::error;
use super::group::{Claimed, Entries, Group, Note, Read};
use crate::sharded::{Member, Seen, State};

/// How long one wait for new entries blocks a connection.
pub(super) const BLOCK: Duration = Duration::from_secs(1);
/// How many entries are asked for at once: Redis does nothing else meanwhile.
const READ_MAX: usize = 1_000;
/// How long ending takes at most where nobody waits for it.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// How often is looked for entries where waiting for them is refused.
const REFUSED_WAIT: Duration = Duration::from_millis(100);
/// How soon a receiver looks again that has fewer or more shards than its share.
const SHARE_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// What a receiver and its task share.
pub(super) struct Shared {
    pub(super) state: Mutex<State<Entries>>,
    /// There is something to tell, or room to read.
    pub(super) work: Notify,
    /// There may be something to hand out.
    pub(super) ready: Notify,
    pub(super) told: watch::Sender<Told>,
}

/// Up to which word Redis was told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) upto: u64,
    /// Up to which word telling has failed; it is tried again.
    pub(super) failed: u64,
    pub(super) ended: bool,
}

/// Lets nobody wait for a task that has ended, whatever ended it.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.state.lock().fault.get_or_insert(Error::Closed);
        self.0.told.send_modify(|told| told.ended = true);
        self.0.ready.notify_waiters();
    }
}

/// The task of a receiver: it keeps the lease, reads, and tells.
pub(super) struct Reader {
    group: Arc<Group>,
    commands: Connector,
    blocking: Arc<Connector>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    /// Which connection the state goes with.
    generation: u64,
    epoch: i64,
    quota: usize,
    lease_due: Instant,
    /// What was seen of the others, and who of them gives no sign of life.
    seen: Seen,
    dead: Vec<Member>,
    turn: usize,
    rng: Rng,
}

type Wake = BoxFuture<'static, Vec<(u32, EntryId)>>;

impl Reader {
    pub(super) fn new(
        group: Group,
        commands: Connector,
        blocking: Connector,
        in_flight_max: usize,
        stop: CancellationToken,
    ) -> Self {
        let seed = group.config.seed.map_or_else(Seed::random, Seed::new);
        let shared = Shared {
            state: Mutex::new(State::new(in_flight_max)),
            work: Notify::new(),
            ready: Notify::new(),
            told: watch::Sender::new(Told::default()),
        };
        Self {
            group: Arc::new(group),
            commands,
            blocking: Arc::new(blocking),
            shared: Arc::new(shared),
            stop,
            generation: 0,
            epoch: 0,
            quota: usize::MAX,
            lease_due: Instant::now(),
            seen: Seen::default(),
            dead: Vec::new(),
            turn: 0,
            rng: seed.stream("redis reader"),
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn link(&self) -> LinkState {
        self.commands.link()
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        let _ended = Ended(Arc::clone(&self.shared));
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.work()).await;
        let goodbye = tokio::time::timeout(GOODBYE_WITHIN, self.goodbye()).await;
        self.commands.close();
        self.blocking.close();
        goodbye.unwrap_or_else(|_| Err(error::unavailable("Redis could not be told in time")))
    }

    async fn work(&mut self) {
        let mut wake: Option<Wake> = None;
        let mut seen = Vec::new();
        let mut failures = 0;
        loop {
            match self.step().await {
                Ok(true) => failures = 0,
                Ok(false) => {
                    failures = 0;
                    self.see(&std::mem::take(&mut seen));
                    wake = wake.or_else(|| self.wait_for_entries());
                    seen = self.wait(&mut wake).await;
                }
                Err(error) => {
                    self.failed(&error);
                    // A connection that is down waits by itself; this is for a server that refuses.
                    tokio::time::sleep(Backoff::default().delay(failures, &mut self.rng)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Waits until there may be something to do; returns which entries are new.
    async fn wait(&mut self, wake: &mut Option<Wake>) -> Vec<(u32, EntryId)> {
        let woken = async {
            match wake {
                Some(future) => future.await,
                None => std::future::pending().await,
            }
        };
        let seen = tokio::select! {
            seen = woken => seen,
            () = self.shared.work.notified() => return Vec::new(),
            () = tokio::time::sleep_until(self.lease_due) => return Vec::new(),
        };
        *wake = None;
        seen
    }

    fn failed(&self, error: &Error) {
        tracing::debug!(%error, "Redis does not serve");
        let words_ever = {
            let mut state = self.shared.state.lock();
            if !error.classify().is_retryable() {
                state.fault = Some(error.clone());
            }
            state.words_ever()
        };
        self.shared.told.send_modify(|told| told.failed = words_ever);
        self.shared.ready.notify_waiters();
    }

    /// Does what is due; says whether it has read anything.
    async fn step(&mut self) -> Result<bool, Error> {
        let connection = self.commands.get().await?;
        let result = self.step_on(&connection).await;
        match result {
            Ok(read) => {
                self.shared.state.lock().fault = None;
                Ok(read)
            }
            // The stream was deleted, or the server has lost it: begin with what there is, for that may be unhandled.
            Err(error) if error.to_string().contains("NOGROUP") => {
                self.group.create(&self.commands, &connection, true).await?;
                Ok(true)
            }
            Err(error) => Err(error::map(&error)),
        }
    }

    async fn step_on(&mut self, connection: &Connection) -> Result<bool, RedisError> {
        if connection.generation != self.generation {
            self.generation = connection.generation;
            self.lease_due = Instant::now();
            self.shared.state.lock().begin_again();
        }
        self.tell(connection).await?;
        if Instant::now() >= self.lease_due {
            self.lease(connection).await?;
        }
        let claimed = self.claim(connection).await?;
        let read = self.read(connection).await?;
        if claimed || read {
            self.shared.ready.notify_waiters();
        }
        Ok(claimed || read)
    }

    async fn tell(&self, connection: &Connection) -> Result<(), RedisError> {
        let (words, upto) = self.shared.state.lock().words();
        if !words.is_empty() {
            self.group.tell(&self.commands, connection, &words).await?;
            self.shared.state.lock().told(words.len());
            self.shared.told.send_modify(|told| told.upto = upto);
        }
        Ok(())
    }

    async fn lease(&mut self, connection: &Connection) -> Result<(), RedisError> {
        let given = self.shared.state.lock().given();
        let lease = self.group.lease(&self.commands, connection, &self.dead, &given).await?;
        let undisturbed = std::mem::replace(&mut self.epoch, lease.epoch) == lease.epoch;
        self.quota = lease.quota;
        // Told with the next renewal, at once.
        self.dead = self.seen.dead(lease.members, Instant::now());
        let fair = lease.owned.len() == lease.quota && self.dead.is_empty();
        {
            let mut state = self.shared.state.lock();
            state.own(&lease.owned, lease.until, undisturbed);
            // What is dropped stays pending, and is claimed by the next owner.
            state.give(lease.quota);
        }
        let again = match fair {
            true => self.group.config.lease.0 / 3,
            false => (self.group.config.lease.0 / 10).clamp(SHARE_AGAIN.0, SHARE_AGAIN.1),
        };
        let soonest = Instant::now() + SHARE_AGAIN.0;
        let due = self.seen.due().map_or(soonest, |due| due.max(soonest));
        self.lease_due = due.min(Instant::now() + again);
        self.shared.ready.notify_waiters();
        Ok(())
    }

    /// Takes over what others have left, before anything new of the same shard.
    async fn claim(&mut self, connection: &Connection) -> Result<bool, RedisError> {
        let mut any = false;
        loop {
            let next = {
                let state = self.shared.state.lock();
                let mut shards = state.shards().filter(|(_, shard)| !shard.giving);
                let next = shards.find_map(|(name, shard)| Some((name, shard.note.claim_after?)));
                next.map(|(name, after)| (name, after, state.room()))
            };
            let Some((shard, after, room)) = next else { return Ok(any) };
            if room == 0 {
                return Ok(any);
            }
            // However much there is, the lease is renewed in time.
            if Instant::now() >= self.lease_due {
                return Ok(true);
            }
            let count = room.min(READ_MAX);
            match self.group.claim(&self.commands, connection, shard, after, count).await? {
                Claimed::Lost => self.lost(shard),
                Claimed::Some { entries, after, done, delivered } => {
                    any |= !entries.is_empty();
                    self.take(connection, shard, entries).await?;
                    if let Some(owned) = self.shared.state.lock().shard(shard) {
                        owned.note = Note { claim_after: (!done).then_some(after), delivered };
                    }
                }
            }
        }
    }

    async fn read(&mut self, connection: &Connection) -> Result<bool, RedisError> {
        let (mut shards, room) = {
            let state = self.shared.state.lock();
            (readable(&state).map(|(name, _)| name).collect::<Vec<_>>(), state.room().min(READ_MAX))
        };
        if shards.is_empty() || room == 0 {
            return Ok(false);
        }
        // Each time another one is first, so that little room is shared too.
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % shards.len();
        shards.rotate_left(first);
        let (epoch, read) = match self.group.read(&self.commands, connection, &shards, room).await {
            Ok(read) => read,
            Err(error) => {
                // What was read and did not arrive is ours all the same, and comes first.
                self.shared.state.lock().begin_again();
                return Err(error);
            }
        };
        if epoch != self.epoch {
            self.lease_due = Instant::now();
        }
        let mut any = false;
        for (shard, entries) in read {
            match entries {
                None => self.lost(shard),
                Some(entries) => {
                    any = true;
                    let last = entries.last().map(|read| read.id);
                    self.take(connection, shard, entries).await?;
                    self.see(&last.map(|last| (shard, last)).into_iter().collect::<Vec<_>>());
                }
            }
        }
        Ok(any)
    }

    fn lost(&mut self, shard: u32) {
        self.shared.state.lock().lose(shard);
        self.lease_due = Instant::now();
    }

    async fn take(&self, connection: &Connection, shard: u32, entries: Vec<Read>) -> Result<(), RedisError> {
        for read in entries {
            match &read.event {
                Ok(event) => {
                    self.shared.state.lock().take(shard, read.id, (), event.clone(), read.redeliveries);
                }
                Err(problem) => {
                    tracing::warn!(
                        stream = self.group.stream(shard), id = %read.id, problem, "an entry is no event: put aside"
                    );
                    // Where it cannot be put aside, for want of memory or permission, it stays pending and blocks
                    // nothing: it is tried again with the next connection or owner of the shard.
                    match self.group.refuse(&self.commands, connection, shard, &read).await {
                        Err(error) if error::is_connection_lost(&error) => return Err(error),
                        Err(error) => tracing::warn!(id = %read.id, %error, "it could not be put aside"),
                        Ok(()) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes entries that need not be waited for any more.
    fn see(&self, seen: &[(u32, EntryId)]) {
        let mut state = self.shared.state.lock();
        for (shard, id) in seen {
            if let Some(owned) = state.shard(*shard) {
                owned.note.delivered = owned.note.delivered.max(*id);
            }
        }
    }

    /// Makes what ends when there are new entries in what may be read, or after a while.
    fn wait_for_entries(&self) -> Option<Wake> {
        let state = self.shared.state.lock();
        if state.room() == 0 {
            return None;
        }
        let shards: Vec<(u32, EntryId)> = readable(&state).collect();
        drop(state);
        if shards.is_empty() {
            return None;
        }
        let (group, connector) = (Arc::clone(&self.group), Arc::clone(&self.blocking));
        Some(Box::pin(async move {
            let mut command = ::redis::cmd("XREAD");
            command.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS");
            for (shard, _) in &shards {
                command.arg(group.stream(*shard));
            }
            for (_, after) in &shards {
                command.arg(after.to_string());
            }
            let Ok(connection) = connector.get().await else { return Vec::new() };
            let read: Result<Value, RedisError> = connector
                .run(&connection, |mut commands| async move { command.query_async(&mut commands).await })
                .await;
            let found = |shard: u32, read: &Value| Some((shard, last_of(read, group.stream(shard))?));
            match read {
                Ok(read) => shards.iter().filter_map(|(shard, _)| found(*shard, &read)).collect(),
                Err(error) => {
                    // One that is refused is refused at once, and must not be asked again at once.
                    if !error::is_connection_lost(&error) {
                        tracing::debug!(%error, "waiting for entries is refused");
                        tokio::time::sleep(REFUSED_WAIT).await;
                    }
                    Vec::new()
                }
            }
        }))
    }

    async fn goodbye(&mut self) -> Result<(), Error> {
        let connection = self.commands.get().await?;
        let told = self.tell(&connection).await;
        let left = self.group.leave(&self.commands, &connection).await;
        told.and(left).map_err(|error| error::map(&error))
    }
}

/// Returns the shards that new entries may be read of, and after which entry these come.
fn readable(state: &State<Entries>) -> impl Iterator<Item = (u32, EntryId)> {
    let readable = state.shards().filter(|(_, shard)| !shard.giving && shard.note.claim_after.is_none());
    readable.map(|(name, shard)| (name, shard.note.delivered))
}

/// Returns the last entry that an answer to `XREAD` has for `stream`.
fn last_of(answer: &Value, stream: &str) -> Option<EntryId> {
    let Value::Array(streams) = answer else { return None };
    streams.iter().find_map(|pair| {
        let Value::Array(pair) = pair else { return None };
        let (name, entries) = (entry::text(pair.first()?)?, pair.get(1)?);
        let Value::Array(entries) = entries else { return None };
        let Value::Array(last) = entries.last()? else { return None };
        (name == stream).then(|| EntryId::of(last.first()?))?
    })
}
