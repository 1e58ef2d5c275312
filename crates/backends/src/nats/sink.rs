use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering as Atomic};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use serde::Deserialize;
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, LinkState, Sink};
use tokio::sync::{Mutex, RwLock};

use super::connector::Connector;
use super::place::Place;
use super::{Config, SYSTEM, SyncInterval, WhenFull, error, message};
use crate::sharded::shard_of;

/// How long to wait before asking a full stream again.
const FULL_WAIT: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));
/// What the server says when the stream could not store a message.
const STORE_FAILED: u64 = 10077;
/// What it says when the account may store no more, as its administrator can change.
const ACCOUNT_FULL: u64 = 10002;
/// What a message takes beside its data and attributes.
const OVERHEAD: usize = 256;

/// Sends events to the shards of a stream.
#[derive(Clone)]
pub struct NatsSink(Arc<Shared>);

struct Shared {
    connector: Connector,
    config: Config,
    /// The stream was found or made.
    prepared: AtomicBool,
    /// One call at a time deletes what was handled.
    trimming: Mutex<()>,
    closed: AtomicBool,
    /// Held for reading by what is being sent, for writing by what closes.
    sending: RwLock<()>,
}

/// An event ready to be sent.
struct Encoded {
    headers: HeaderMap,
    data: Bytes,
}

/// How far a call has come.
#[derive(Default)]
struct Progress {
    connected: AtomicBool,
    sent: AtomicUsize,
    /// How many messages are on their way.
    under_way: AtomicUsize,
}

/// What the server answers to a message.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: u16,
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// What became of one message.
enum Sent {
    Stored,
    Full,
}

impl NatsSink {
    /// Makes a sink; the connection is made when something is sent.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self(Arc::new(Shared {
            connector: Connector::new(&config)?,
            config,
            prepared: AtomicBool::new(false),
            trimming: Mutex::new(()),
            closed: AtomicBool::new(false),
            sending: RwLock::new(()),
        })))
    }
}

impl Sink for NatsSink {
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
            let what = format!("`{durability}`, but `{max}` at most");
            return Err(Error::Unsupported { system: SYSTEM, what });
        }
        let _sending = self.sending.read().await;
        if self.closed.load(Atomic::SeqCst) {
            return Err(Error::Closed);
        }
        let progress = Progress::default();
        let sending = tokio::time::timeout_at(deadline.instant(), self.send_all(events, &progress)).await;
        let sent = progress.sent.load(Atomic::SeqCst);
        match sending {
            Ok(sent) => sent.map(|()| match self.config.sync {
                SyncInterval::Lazy => Durability::Written,
                SyncInterval::Always => Durability::Durable,
            }),
            Err(_) if !progress.connected.load(Atomic::SeqCst) => {
                Err(error::unavailable("no connection could be made in time"))
            }
            Err(_) if sent == 0 && progress.under_way.load(Atomic::SeqCst) == 0 => {
                Err(Error::Overloaded { system: SYSTEM, retry_after: None })
            }
            Err(_) => Err(Error::DeadlineExceeded { system: SYSTEM }),
        }
    }

    async fn send_all(&self, events: &[Event], progress: &Progress) -> Result<(), Error> {
        let client = self.connector.up().await?;
        let place = Place::new(&client, &self.config);
        if !self.prepared.load(Atomic::SeqCst) {
            place.prepare().await?;
            self.prepared.store(true, Atomic::SeqCst);
        }
        progress.connected.store(true, Atomic::SeqCst);
        // What can never be sent is found before anything is sent that comes after it.
        let size_max = client.server_info().max_payload;
        let mut lanes: BTreeMap<u32, Vec<Encoded>> = BTreeMap::new();
        let mut fault = None;
        for event in events {
            match encode(event, size_max) {
                Ok(encoded) => {
                    let shard = shard_of(event.partition_key(), self.config.shards);
                    lanes.entry(shard).or_default().push(encoded);
                }
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        let lanes =
            lanes.into_iter().map(|(shard, lane)| self.send_lane(&client, &place, shard, lane, progress));
        try_join_all(lanes).await?;
        fault.map_or(Ok(()), Err)
    }

    /// Sends the events of one shard one after the other: with several on their way, a connection that is lost could
    /// lose one and not those behind it.
    async fn send_lane(
        &self,
        client: &Client,
        place: &Place,
        shard: u32,
        lane: Vec<Encoded>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let subject = self.config.subject(shard);
        for Encoded { headers, data } in lane {
            let mut wait = FULL_WAIT.0;
            loop {
                progress.under_way.fetch_add(1, Atomic::SeqCst);
                let request = Request::new().headers(headers.clone()).payload(data.clone());
                let sent = self.send_one(client, &subject, request).await?;
                progress.under_way.fetch_sub(1, Atomic::SeqCst);
                match sent {
                    Sent::Stored => break,
                    Sent::Full if self.trim(place, shard).await? => {}
                    Sent::Full => {
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(FULL_WAIT.1);
                    }
                }
            }
            progress.sent.fetch_add(1, Atomic::SeqCst);
        }
        Ok(())
    }

    /// Makes room; says whether it could.
    async fn trim(&self, place: &Place, shard: u32) -> Result<bool, Error> {
        if self.config.when_full == WhenFull::Forget {
            return Ok(false);
        }
        let _one = self.trimming.lock().await;
        // Room for one is room for all, so any shard will do.
        if place.trim(shard).await? {
            return Ok(true);
        }
        for other in (0..self.config.shards).filter(|other| *other != shard) {
            if place.trim(other).await? {
                return Ok(true);
            }
        }
        place.trim_refused().await
    }

    async fn send_one(&self, client: &Client, subject: &str, request: Request) -> Result<Sent, Error> {
        let mut generation = self.connector.generation();
        generation.mark_unchanged();
        let answer = tokio::select! {
            answer = client.send_request(subject.to_owned(), request) => answer,
            _ = generation.changed() => return Err(error::unavailable("the connection was lost")),
        };
        let answer = answer.map_err(|error| {
            // Nobody listens to a stream that is not there, or not there yet.
            self.prepared.store(false, Atomic::SeqCst);
            error::of_request(error.kind(), error.to_string())
        })?;
        let answer: Answer = serde_json::from_slice(&answer.payload)
            .map_err(|error| error::unavailable(format!("the stream's answer: {error}")))?;
        match answer.error {
            None => Ok(Sent::Stored),
            Some(refusal)
                if refusal.err_code == STORE_FAILED && refusal.description.starts_with("maximum") =>
            {
                Ok(Sent::Full)
            }
            Some(refusal) if refusal.code >= 500 || refusal.err_code == ACCOUNT_FULL => {
                Err(error::unavailable(refusal.description))
            }
            Some(refusal) => Err(Error::Rejected { system: SYSTEM, reason: refusal.description }),
        }
    }
}

fn encode(event: &Event, size_max: usize) -> Result<Encoded, Error> {
    let headers = message::headers(event)?;
    let names: usize = headers
        .iter()
        .map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(|value| name.len() + value.as_str().len() + 4).sum::<usize>()
        })
        .sum();
    let size = event.data().len() + names + OVERHEAD;
    if size_max > 0 && size > size_max {
        let reason = format!("the event takes up to {size} bytes, the server at most {size_max}");
        return Err(Error::Rejected { system: SYSTEM, reason });
    }
    Ok(Encoded { headers, data: event.data().clone() })
}

impl std::fmt::Debug for NatsSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsSink").field("stream", &self.0.config.stream).finish_non_exhaustive()
    }
}
