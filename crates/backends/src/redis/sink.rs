use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, LinkState, Sink};
use tokio::sync::RwLock;

use super::connector::{Connection, Connector};
use super::sync::Waiter;
use super::{Config, Persistence, SYSTEM, WhenFull, entry, error, names, script};
use crate::sharded::shard_of;

/// How many events, and how many bytes of them, one call of the script takes: Redis does nothing else meanwhile.
const CHUNK_EVENTS: usize = 128;
const CHUNK_BYTES: usize = 1 << 20;
/// How long to wait before asking a full stream again.
const FULL_WAIT: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Sends events to the shards of a stream.
#[derive(Clone)]
pub struct RedisSink(Arc<Shared>);

struct Shared {
    connector: Connector,
    config: Config,
    streams: Vec<String>,
    closed: AtomicBool,
    /// Held for reading by what is being sent, for writing by what closes.
    sending: RwLock<()>,
    synced: Waiter,
}

/// An event ready to be sent.
struct Encoded {
    shard: u32,
    id: String,
    texts: Vec<Bytes>,
}

/// How far a call has come.
#[derive(Default)]
struct Progress {
    connected: bool,
    sent: usize,
    /// It waits for room, and nothing is on its way.
    full: bool,
}

impl RedisSink {
    /// Makes a sink; the connection is made when something is sent.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        // A call may wait for one sync of the file.
        let connector = Connector::new(&config, Duration::ZERO)?;
        let streams = (0..config.shards).map(|shard| names::stream(&config, shard)).collect();
        Ok(Self(Arc::new(Shared {
            connector,
            config,
            streams,
            closed: AtomicBool::new(false),
            sending: RwLock::new(()),
            synced: Waiter::default(),
        })))
    }
}

impl Sink for RedisSink {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        self.0.config.capabilities()
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(self.0.send(events, durability, deadline))
    }

    fn link(&self) -> LinkState {
        self.0.connector.link()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.0.closed.store(true, Atomic::SeqCst);
            let sending = tokio::time::timeout_at(deadline.instant(), self.0.sending.write()).await;
            self.0.connector.close();
            sending.map(drop).map_err(|_| Error::DeadlineExceeded { system: SYSTEM })
        })
    }
}

impl Shared {
    async fn send(
        &self,
        events: &[Event],
        durability: Durability,
        deadline: Deadline,
    ) -> Result<Durability, Error> {
        let max = self.config.capabilities().durability_max;
        if durability > max {
            return Err(Error::Unsupported {
                system: SYSTEM,
                what: format!("`{durability}`, but `{max}` at most"),
            });
        }
        let _sending = self.sending.read().await;
        if self.closed.load(Atomic::SeqCst) {
            return Err(Error::Closed);
        }
        // Encoded before anything is sent, so that an event that cannot be is refused with nothing after it sent.
        let mut fault = None;
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            match self.encode(event) {
                Ok(event) => encoded.push(event),
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        let mut progress = Progress::default();
        let sending = self.send_all(&encoded, durability, &mut progress);
        match tokio::time::timeout_at(deadline.instant(), sending).await {
            Ok(achieved) => fault.map_or(achieved, Err),
            Err(_) if progress.full && progress.sent == 0 => {
                Err(Error::Overloaded { system: SYSTEM, retry_after: None })
            }
            Err(_) if !progress.connected => Err(error::unavailable("no connection could be made in time")),
            Err(_) => Err(Error::DeadlineExceeded { system: SYSTEM }),
        }
    }

    fn encode(&self, event: &Event) -> Result<Encoded, Error> {
        Ok(Encoded {
            shard: shard_of(event.partition_key(), self.config.shards),
            id: event.id().to_string(),
            texts: entry::encode(event)?,
        })
    }

    async fn send_all(
        &self,
        events: &[Encoded],
        durability: Durability,
        progress: &mut Progress,
    ) -> Result<Durability, Error> {
        let connection = self.connector.up().await?;
        progress.connected = true;
        let mut wait = FULL_WAIT.0;
        while progress.sent < events.len() {
            progress.full = false;
            let taken = self.send_some(&connection, &events[progress.sent..]).await?;
            progress.sent += taken;
            if taken > 0 {
                wait = FULL_WAIT.0;
            } else {
                progress.full = true;
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(FULL_WAIT.1);
            }
        }
        match self.config.persistence {
            Persistence::Unknown => Ok(Durability::Accepted),
            // It answers after it has synced.
            Persistence::AppendFsyncAlways => Ok(Durability::Durable),
            Persistence::WaitAof if durability == Durability::Accepted => Ok(Durability::Accepted),
            Persistence::WaitAof => {
                let within = self.config.answer_within.0;
                self.synced.wait(&self.connector, &connection, within).await.map(|()| Durability::Durable)
            }
        }
    }

    /// Sends as many of `events` as go into one call and fit; returns how many that were.
    async fn send_some(&self, connection: &Connection, events: &[Encoded]) -> Result<usize, Error> {
        let mut invocation = script::SEND.prepare_invoke();
        for stream in &self.streams {
            invocation.key(stream);
        }
        invocation
            .arg(self.config.length_max)
            .arg(u8::from(self.config.when_full == WhenFull::Forget))
            .arg(names::id_prefix(&self.config))
            .arg(u64::try_from(self.config.remember_ids.0.as_millis()).unwrap_or(u64::MAX));
        let mut bytes = 0;
        for (count, event) in events.iter().enumerate() {
            let length: usize = event.texts.iter().map(Bytes::len).sum();
            if count > 0 && (count == CHUNK_EVENTS || bytes + length > CHUNK_BYTES) {
                break;
            }
            bytes += length;
            invocation.arg(event.shard + 1).arg(&event.id).arg(event.texts.len());
            for text in &event.texts {
                invocation.arg(&text[..]);
            }
        }
        self.connector
            .run(connection, |mut commands| async move { invocation.invoke_async(&mut commands).await })
            .await
            .map_err(|error| error::map(&error))
    }
}

impl std::fmt::Debug for RedisSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSink").field("stream", &self.0.config.stream).finish_non_exhaustive()
    }
}
