use std::sync::{Arc, Weak};

use futures::TryStreamExt;

use super::cache::{self, Cached};
use super::entry::Entry;
use super::metrics::{Counters, Held};
use super::{Cause, Error, EventCodec, Executed, LoadError, Probe, RepositoryMetrics, Settings};
use crate::Aggregate;
use crate::store::{self, Appended, Batch, Condition, EventStore, Expected, Position, Query, Revision};

/// The aggregates of one kind, each with a stream of its own; see the [module](super).
///
/// Share it as `Arc`.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use serde::{Deserialize, Serialize};
/// use steadfast_core::Aggregate;
/// use steadfast_core::repository::{Cause, JsonEvents, Repository, Settings};
/// use steadfast_core::store::{Durability, MemoryStore};
///
/// #[derive(Default)]
/// struct Account { cents: u64 }
/// #[derive(Serialize, Deserialize)]
/// struct Deposited { cents: u64 }
///
/// impl Aggregate for Account {
///     type Command = u64;
///     type Event = Deposited;
///     type Error = &'static str;
///     fn decide(&self, cents: &u64) -> Result<Vec<Deposited>, &'static str> {
///         if *cents == 0 { Err("nothing to deposit") } else { Ok(vec![Deposited { cents: *cents }]) }
///     }
///     fn evolve(&mut self, deposited: &Deposited) {
///         self.cents += deposited.cents;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let codec = JsonEvents::new("/accounts", |_: &Deposited| "account.deposited");
/// let settings = Settings { durability: Durability::Accepted, ..Settings::default() };
/// let accounts = Repository::<Account, _>::new(Arc::new(MemoryStore::new()), "account-", codec, settings);
/// accounts.execute("42", &500, &Cause::key("first")).await?;
/// // The same command again changes nothing.
/// assert!(accounts.execute("42", &500, &Cause::key("first")).await?.repeated);
/// assert_eq!(accounts.look("42", |account, _| account.cents).await?, 500);
/// # Ok(()) }
/// ```
pub struct Repository<A: Aggregate, C> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) prefix: Arc<str>,
    pub(super) codec: C,
    pub(super) settings: Settings<A>,
    pub(super) cache: Arc<Cached<A>>,
    pub(super) counters: Arc<Counters>,
}

impl<A, C> Repository<A, C>
where
    A: Aggregate<Event: Sync, Command: Sync, Error: Send> + Sync,
    C: EventCodec<A>,
{
    /// Makes the repository of the aggregates whose streams in `store` are named `prefix` and the aggregate's name.
    pub fn new(
        store: Arc<dyn EventStore>,
        prefix: impl Into<Arc<str>>,
        codec: C,
        settings: Settings<A>,
    ) -> Self {
        let cache = Arc::new(cache::new(settings.cache_bytes_max));
        Self { store, prefix: prefix.into(), codec, settings, cache, counters: Arc::default() }
    }

    /// Carries out `command` on the aggregate `name`: decides, appends what follows, applies it.
    ///
    /// A refusal, too, rests on the newest state: the store is asked whether the stream has moved on.
    ///
    /// # Errors
    /// [`Error`]. Only after [`Error::Store`] may the events be in the store all the same; the same command with the
    /// same key tells.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the command is carried out; the same command with the same key
    /// tells.
    pub async fn execute(
        &self,
        name: &str,
        command: &A::Command,
        cause: &Cause,
    ) -> Result<Executed<A::Event>, Error<A::Error>> {
        let entry = self.entry(name);
        let crowded = || Error::Crowded { name: entry.name.to_text() };
        let _turn = entry.turn(self.settings.waiting_max).await.ok_or_else(crowded)?;
        for _ in 0..=self.settings.conflicts_max {
            let was_read = self.load(&entry).await?;
            let decided = self.decide(&entry, command, cause);
            let (events, revision) = match decided {
                Ok(Decided::Repeated { after, events }) => return self.repeated(&entry, after, events).await,
                Ok(Decided::Events(events, revision)) if !events.is_empty() => (events, revision),
                // Nothing will be appended that would find out whether the stream has moved on.
                _ if !was_read && self.has_moved_on(&entry).await? => continue,
                Ok(Decided::Events(events, revision)) => {
                    return Ok(Executed { events, revision, achieved: None, repeated: false });
                }
                Err(error) => {
                    self.counters.refused.add(u64::from(matches!(error, Error::Refused(_))));
                    return Err(error);
                }
            };
            let (batch, bytes) = self.batch(&entry, &events, cause)?;
            let expected = revision.map_or(Expected::NoStream, Expected::Revision);
            let condition = Condition::stream(Arc::clone(entry.stream()), expected);
            // Until the store has answered, nobody knows how the stream stands.
            entry.state.write().doubt();
            match self.store.append(batch, condition, self.settings.durability).await {
                Ok(appended) => {
                    self.counters.executed.add(1);
                    self.evolve(&entry, &events, bytes, cause, appended);
                    self.snapshot_if_due(&entry).await;
                    let (revision, achieved) = (Some(appended.revision), Some(appended.achieved));
                    return Ok(Executed { events, revision, achieved, repeated: false });
                }
                Err(store::Error::Conflict { .. }) => self.counters.conflicts.add(1),
                Err(error) => return Err(Error::Store(error)),
            }
        }
        let times = self.settings.conflicts_max.saturating_add(1);
        Err(Error::Contended { name: entry.name.to_text(), times })
    }

    /// Returns what was done so far and what the cache holds.
    pub fn metrics(&self) -> RepositoryMetrics {
        self.counters.snapshot(&*self.cache)
    }

    /// Returns what shows [`metrics`](Self::metrics) under `name`, and keeps neither the aggregates nor the store.
    pub fn probe(&self, name: impl Into<Arc<str>>) -> Probe
    where
        A: 'static,
    {
        let cache: Weak<dyn Held> = Arc::downgrade(&self.cache) as Weak<dyn Held>;
        Probe { name: name.into(), counters: Arc::clone(&self.counters), cache }
    }

    fn decide(
        &self,
        entry: &Entry<A>,
        command: &A::Command,
        cause: &Cause,
    ) -> Result<Decided<A::Event>, Error<A::Error>> {
        let state = entry.state.read();
        let state = state.fresh().expect("it was loaded, and the turn is held");
        if let Some(key) = &cause.key
            && let Some(known) = state.known.find(key)
        {
            if known.fingerprint != cause.fingerprint {
                return Err(Error::KeyReused { key: Arc::clone(key) });
            }
            return Ok(Decided::Repeated { after: known.after, events: known.events });
        }
        let events = state.aggregate.decide(command).map_err(Error::Refused)?;
        Ok(Decided::Events(events, state.revision))
    }

    /// Says whether others have appended to the stream; the state is stale then.
    async fn has_moved_on(&self, entry: &Entry<A>) -> Result<bool, LoadError> {
        let newest = self.store.revision(entry.stream()).await?;
        let mut state = entry.state.write();
        let moved = state.fresh().is_none_or(|state| state.revision != newest);
        if moved {
            state.doubt();
            self.counters.conflicts.add(1);
        }
        Ok(moved)
    }

    /// Reads what a command caused the first time.
    async fn repeated(
        &self,
        entry: &Entry<A>,
        after: Position,
        count: u64,
    ) -> Result<Executed<A::Event>, Error<A::Error>> {
        self.counters.repeated.add(1);
        let from = (after > Position::START).then_some(after);
        let query = Query { from, limit: Some(count), ..Query::stream(Arc::clone(entry.stream())) };
        let stored: Vec<_> = self.store.read(query).try_collect().await.map_err(LoadError::Store)?;
        let revision = stored.last().map(|stored| stored.revision);
        let mut events = Vec::with_capacity(stored.len());
        for stored in &stored {
            let decoded = self.codec.decode(&stored.event).map_err(|source| LoadError::NotDecoded {
                stream: Arc::clone(&stored.stream),
                revision: stored.revision,
                kind: stored.event.kind().into(),
                source,
            });
            events.push(decoded?);
        }
        Ok(Executed { events, revision, achieved: None, repeated: true })
    }

    /// Makes the batch to be appended, and counts the bytes of its data.
    fn batch(
        &self,
        entry: &Entry<A>,
        events: &[A::Event],
        cause: &Cause,
    ) -> Result<(Batch, u64), Error<A::Error>> {
        let mut bytes = 0;
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            let event = self.codec.encode(&entry.name, event);
            let event = event.map_err(|source| Error::NotEncoded { name: entry.name.to_text(), source })?;
            bytes += event.data().len() as u64;
            encoded.push(cause.stamp(event));
        }
        Ok((Batch::to_stream(Arc::clone(entry.stream()), encoded), bytes))
    }

    /// Applies events that are in the store.
    fn evolve(
        &self,
        entry: &Arc<Entry<A>>,
        events: &[A::Event],
        bytes: u64,
        cause: &Cause,
        appended: Appended,
    ) {
        let grown = {
            let mut loaded = entry.state.write();
            let Some(mut state) = loaded.take() else { return };
            if let Some(key) = &cause.key {
                let (after, count) = (state.position, events.len() as u64);
                state.known.note(key, cause.fingerprint.as_ref(), after, count, self.settings.keys_max);
            }
            events.iter().for_each(|event| state.aggregate.evolve(event));
            state.revision = Some(appended.revision);
            state.position = appended.position;
            state.since.events += events.len() as u64;
            state.since.bytes += bytes;
            state.since.time.get_or_insert_with(|| self.settings.clock.now());
            // What the aggregate itself takes is asked for now and then.
            let grown = state.has_grown() || state.since.events.is_power_of_two();
            loaded.put(state, true);
            grown
        };
        if grown {
            self.weigh(entry);
        }
    }
}

/// What a command leads to.
enum Decided<E> {
    Events(Vec<E>, Option<Revision>),
    Repeated { after: Position, events: u64 },
}

impl<A: Aggregate, C> std::fmt::Debug for Repository<A, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("prefix", &self.prefix)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
