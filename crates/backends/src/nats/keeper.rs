use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv;
use async_nats::{Client, Request, Subject};
use futures::future::join_all;
use steadfast_base::{Backoff, Rng, Seed};
use steadfast_core::transport::{Error, LinkState, Outcome};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connector::Connector;
use super::place::{self, Place};
use super::puller::Puller;
use super::roll::Roll;
use super::shared::Shared;
use super::{Config, SYSTEM, error};
use crate::sharded::Seen;

/// How long ending takes at most.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// How often a change of the group's document is tried when others change it too.
const CONFLICTS_MAX: u32 = 16;
/// How long the server may take to hear words on a connection by which it has heard none yet: it may have forgotten
/// what they are about.
const TELL_FIRST_WITHIN: Duration = Duration::from_secs(1);
/// How many words are told at the same time.
const TELL_MAX: usize = 256;

/// Lets nobody wait for a task that has ended, whatever ended it.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.state.lock().fault.get_or_insert(Error::Closed);
        self.0.told.send_modify(|told| told.ended = true);
        self.0.ready.notify_waiters();
    }
}

/// The task of a receiver: it keeps its place in the group, has a puller for each shard that is its own, and tells.
pub(super) struct Keeper {
    config: Config,
    connector: Connector,
    group: Arc<str>,
    me: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
    generation: watch::Receiver<u64>,
    pullers: JoinSet<()>,
    pulling: HashMap<u32, Pulling>,
    /// How many pullers there were ever.
    pullers_ever: u64,
    /// Which client the pullers stand on.
    clients: u64,
    seen: Seen,
    /// When our beat was last written.
    beat: Option<Instant>,
    /// How many renewals there were then.
    renewals: u64,
    quota: usize,
    lease_due: Instant,
    progress_due: Instant,
    /// The connection by which words were last heard.
    heard: u64,
    rng: Rng,
}

/// A puller that was started.
struct Pulling {
    number: u64,
    stop: CancellationToken,
    task: AbortHandle,
}

impl Keeper {
    pub(super) fn new(
        config: Config,
        connector: Connector,
        group: Arc<str>,
        in_flight_max: usize,
        stop: CancellationToken,
    ) -> Self {
        let seed = config.seed.map_or_else(Seed::random, Seed::new);
        let generation = connector.generation();
        // What a receiver is told by its first connection the server has not forgotten.
        let heard = *generation.borrow();
        Self {
            generation,
            config,
            connector,
            group,
            me: steadfast_core::EventId::generate().to_string(),
            shared: Arc::new(Shared::new(in_flight_max)),
            stop,
            pullers: JoinSet::new(),
            pulling: HashMap::new(),
            pullers_ever: 0,
            clients: 0,
            seen: Seen::default(),
            beat: None,
            renewals: 0,
            quota: usize::MAX,
            lease_due: Instant::now(),
            progress_due: Instant::now(),
            heard,
            rng: seed.stream("nats keeper"),
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn link(&self) -> LinkState {
        self.connector.link()
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        let _ended = Ended(Arc::clone(&self.shared));
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.work()).await;
        let goodbye = tokio::time::timeout(GOODBYE_WITHIN, self.goodbye()).await;
        self.pullers.shutdown().await;
        self.connector.close();
        goodbye.unwrap_or_else(|_| Err(error::unavailable("NATS could not be told in time")))
    }

    async fn work(&mut self) {
        let mut failures = 0;
        loop {
            match self.step().await {
                Ok(()) => {
                    failures = 0;
                    tokio::select! {
                        () = self.shared.work.notified() => {}
                        () = tokio::time::sleep_until(self.lease_due.min(self.progress_due)) => {}
                        _ = self.generation.changed() => self.lease_due = Instant::now(),
                    }
                }
                Err(error) => {
                    self.shared.failed(&error);
                    let wait = Backoff::default().delay(failures, &mut self.rng);
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        // Bounded, so that whoever waits to be told something hears that it cannot be.
        let up = tokio::time::timeout(self.config.answer_within.0, self.connector.up()).await;
        let client = up.unwrap_or_else(|_| Err(error::unavailable("there is no connection")))?;
        self.shared.state.lock().fault = None;
        self.tell(&client).await?;
        let now = Instant::now();
        if now >= self.progress_due {
            self.progress_due = now + self.config.lease.0 / 3;
            let handles = self.shared.state.lock().handles();
            say(&client, handles, "+WPI").await?;
        }
        if now >= self.lease_due {
            self.lease(&client).await?;
        }
        self.keep_pullers(&client).await
    }

    /// Tells the server what became of messages, and waits until it has heard.
    ///
    /// It says nothing to a word on a delivery that it does not wait for: one that was acknowledged already by a word
    /// whose answer was lost, or that it has forgotten with its process. The latter it delivers again, so such a word
    /// is dropped and counts as not told.
    async fn tell(&mut self, client: &Client) -> Result<(), Error> {
        loop {
            let (words, upto) = self.shared.state.lock().words();
            if words.is_empty() {
                return Ok(());
            }
            let connection = *self.generation.borrow_and_update();
            let within = match self.heard == connection {
                true => self.config.answer_within.0,
                false => self.config.answer_within.0.min(TELL_FIRST_WITHIN),
            };
            let mut unheard = 0;
            for some in words.chunks(TELL_MAX) {
                let asking = some.iter().filter_map(|word| {
                    let what = match (word.outcome, word.kept) {
                        (Outcome::Handled, _) => "+ACK",
                        // It is ready here again: the server need not hear of it.
                        (Outcome::Released, true) => return None,
                        (Outcome::Released, false) => "-NAK",
                    };
                    let request = Request::new().payload(what.into()).timeout(Some(within));
                    Some(client.send_request(word.handle.clone(), request))
                });
                tokio::select! {
                    told = join_all(asking) => unheard += told.iter().filter(|told| told.is_err()).count(),
                    _ = self.generation.changed() => {
                        self.lease_due = Instant::now();
                        return Err(error::unavailable("the connection was lost"));
                    }
                }
            }
            self.heard = connection;
            self.shared.state.lock().told(words.len());
            self.shared.told.send_modify(|told| {
                if unheard > 0 {
                    tracing::debug!(system = SYSTEM, unheard, "words were not answered");
                    told.failed = upto;
                }
                told.upto = upto;
            });
            self.shared.room.notify_waiters();
            // What was held back by what was not told may be handed out now.
            self.shared.ready.notify_waiters();
        }
    }

    /// Renews our place in the group, and learns which shards are ours.
    async fn lease(&mut self, client: &Client) -> Result<(), Error> {
        let bucket = Place::new(client, &self.config).bucket().await?;
        let shards = self.config.shards;
        for _ in 0..CONFLICTS_MAX {
            let now = Instant::now();
            let (before, revision) = read(&bucket, &self.group).await?;
            let dead = self.seen.dead(before.members(self.config.lease.0), now);
            let given = self.shared.state.lock().given();
            let mut roll = before.clone();
            roll.renew(&self.me, self.config.lease.0, &dead, &given, shards);
            let is_due = self.beat.is_none_or(|beat| now.duration_since(beat) >= self.config.lease.0 / 3);
            if (is_due || roll.differs_from(&before)) && !write(&bucket, &self.group, &roll, revision).await?
            {
                continue;
            }
            let undisturbed = before.was_last(&self.me, self.renewals);
            if is_due || roll.differs_from(&before) {
                self.beat = Some(now);
                self.renewals = roll.renewals();
            }
            let owned = roll.owned(&self.me);
            self.quota = roll.quota(&self.me, shards);
            let fair = owned.len() == self.quota;
            let dropped = {
                let mut state = self.shared.state.lock();
                let mut dropped =
                    state.own(&owned, self.beat.unwrap_or(now) + self.config.lease.0, undisturbed);
                dropped.extend(state.give(self.quota));
                dropped
            };
            say(client, dropped, "-NAK").await?;
            let again = (self.config.lease.0 / 10).min(Duration::from_millis(if fair { 500 } else { 50 }));
            self.lease_due = Instant::now() + again;
            self.shared.ready.notify_waiters();
            return Ok(());
        }
        Err(error::unavailable("too many receivers come and go at the same time"))
    }

    /// Has a puller for each shard that is ours, and for no other: a new one where the shard was not ours meanwhile.
    async fn keep_pullers(&mut self, client: &Client) -> Result<(), Error> {
        while self.pullers.try_join_next().is_some() {}
        let clients = self.connector.clients().await;
        if std::mem::replace(&mut self.clients, clients) != clients {
            self.pulling.drain().for_each(|(_, pulling)| pulling.stop.cancel());
        }
        let wanted: HashMap<u32, u64> = {
            let state = self.shared.state.lock();
            let ours = state.shards().filter(|(_, shard)| !shard.giving);
            ours.map(|(name, shard)| (name, shard.note.puller)).collect()
        };
        self.pulling.retain(|shard, pulling| {
            let keep = wanted.get(shard) == Some(&pulling.number) && !pulling.task.is_finished();
            if !keep {
                pulling.stop.cancel();
            }
            keep
        });
        for shard in wanted.into_keys() {
            if self.pulling.contains_key(&shard) {
                continue;
            }
            self.pullers_ever += 1;
            let (number, stop) = (self.pullers_ever, CancellationToken::new());
            let place = Place::new(client, &self.config);
            let puller = Puller::new(
                (shard, number),
                &self.group,
                client.clone(),
                place,
                Arc::clone(&self.shared),
                self.connector.generation(),
                stop.clone(),
            );
            let puller = puller.await?;
            if let Some(owned) = self.shared.state.lock().shard(shard) {
                owned.note.puller = number;
            }
            let task = self.pullers.spawn(puller.run());
            self.pulling.insert(shard, Pulling { number, stop, task });
        }
        Ok(())
    }

    /// Gives everything back: first what was received, then the shards.
    async fn goodbye(&mut self) -> Result<(), Error> {
        for pulling in self.pulling.values() {
            pulling.stop.cancel();
        }
        let client = self.connector.up().await?;
        while self.pullers.join_next().await.is_some() {}
        let told = self.tell(&client).await;
        let handles = self.shared.state.lock().handles();
        let nak = || Request::new().payload("-NAK".into()).timeout(Some(TELL_FIRST_WITHIN));
        join_all(handles.into_iter().map(|handle| client.send_request(handle, nak()))).await;
        let bucket = Place::new(&client, &self.config).bucket().await?;
        for _ in 0..CONFLICTS_MAX {
            let (mut roll, revision) = read(&bucket, &self.group).await?;
            roll.leave(&self.me);
            if write(&bucket, &self.group, &roll, revision).await? {
                break;
            }
        }
        client.flush().await.map_err(|error| error::asked("leaving", error))?;
        told
    }
}

/// Says `what` about messages; whether it arrives is not known.
async fn say(client: &Client, handles: Vec<Subject>, what: &'static str) -> Result<(), Error> {
    for handle in handles {
        client.publish(handle, what.into()).await.map_err(|error| error::asked("the server", error))?;
    }
    Ok(())
}

async fn read(bucket: &kv::Store, group: &str) -> Result<(Roll, Option<u64>), Error> {
    let entry = bucket.entry(place::plain(group)).await.map_err(|error| error::asked("the group", error))?;
    let Some(entry) = entry else { return Ok((Roll::default(), None)) };
    let roll = serde_json::from_slice(&entry.value).map_err(|error| Error::Rejected {
        system: SYSTEM,
        reason: format!("the group's document is not to be read, delete it from the bucket: {error}"),
    })?;
    Ok((roll, Some(entry.revision)))
}

/// Writes the group's document unless somebody else has meanwhile; says whether it was written.
async fn write(bucket: &kv::Store, group: &str, roll: &Roll, revision: Option<u64>) -> Result<bool, Error> {
    let key = place::plain(group);
    let text = serde_json::to_vec(roll).map_err(|error| error::asked("the group", error))?;
    let written = match revision {
        Some(revision) => {
            bucket.update(key, text.into(), revision).await.map_err(|error| match error.kind() {
                kv::UpdateErrorKind::WrongLastRevision => None,
                _ => Some(error.to_string()),
            })
        }
        None => bucket.create(key, text.into()).await.map_err(|error| match error.kind() {
            kv::CreateErrorKind::AlreadyExists => None,
            _ => Some(error.to_string()),
        }),
    };
    match written {
        Ok(_) => Ok(true),
        Err(None) => Ok(false),
        Err(Some(problem)) => Err(error::asked("the group", problem)),
    }
}
