use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::{Mutex, RwLock};
use steadfast::core::Aggregate;
use steadfast::core::bus::Topic;
use steadfast::core::machine::{self, Tally};
use steadfast::core::store::{
    self, Batch, Condition, Durability, EventStore, Expected, NewEvent, Query, Revision, StreamCondition,
};

use super::{Answer, Book, Error, OrderEntry, Outcome, Record};
use crate::ledger::{Held, Locks};
use crate::orders::domain::{self, Command, Details, OrderId, State};
use crate::orders::log::{self, Cause, Entry};
use crate::orders::process::{self, Reason};

/// How many requests may hold or wait for one order, or one key.
const USERS_MAX: usize = 64;
/// How often a command is decided anew when the store has moved on.
const CONFLICTS_MAX: u32 = 3;
/// How many confirmations may be under way.
const CONFIRMATIONS_MAX: usize = 10_000;

/// How commands are carried out.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The durability of an event before anybody is told.
    pub durability: Durability,
    /// Whether a repeated command is recognised by its key. Off only to show that proof finds it.
    pub idempotent: bool,
}

/// The orders: the log, and what it says.
pub struct Orders {
    store: Arc<dyn EventStore>,
    book: RwLock<Book>,
    // A key is locked before an order and never the other way round.
    keys: Locks<Arc<str>>,
    locks: Locks<OrderId>,
    topic: Topic<Recorded>,
    settings: Settings,
    // Orders whose streams may hold more than the book: an append has not been answered, or with an error that leaves
    // it open. Each is read again before anything is decided on it.
    doubted: Mutex<HashSet<OrderId>>,
    asked: Tally<State>,
}

/// What subscribers of the bus hear: an event that is in the log.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Which order it happened to.
    pub id: OrderId,
    /// What happened.
    pub entry: Entry,
    /// What was ordered.
    pub details: Option<Arc<Details>>,
}

impl Orders {
    /// Makes the orders from what the log says.
    pub fn new(store: Arc<dyn EventStore>, book: Book, topic: Topic<Recorded>, settings: Settings) -> Self {
        Self {
            store,
            book: RwLock::new(book),
            keys: Locks::new(USERS_MAX),
            locks: Locks::new(USERS_MAX),
            topic,
            settings,
            doubted: Mutex::default(),
            asked: Tally::new("order"),
        }
    }

    /// Returns the log.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// Returns what shows which commands came to orders in which state.
    pub fn asked(&self) -> machine::Probe {
        self.asked.probe()
    }

    /// Looks something up in the book. Commands wait meanwhile.
    pub fn look<T>(&self, question: impl FnOnce(&Book) -> T) -> T {
        question(&self.book.read())
    }

    /// Creates an order.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the order is created; asking again with the same key tells.
    pub async fn create(&self, details: Arc<Details>, cause: &Cause) -> Result<Answer, Error> {
        let id = if self.settings.idempotent {
            OrderId::from_key(cause.key.as_str())
        } else {
            OrderId::generate()
        };
        self.execute(id, &Command::Create(details), cause).await
    }

    /// Carries out a command that concerns the order alone.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// As for [`create`](Self::create).
    pub async fn execute(&self, id: OrderId, command: &Command, cause: &Cause) -> Result<Answer, Error> {
        let (_key, _order) = self.enter(id, cause).await?;
        for attempt in 0..CONFLICTS_MAX {
            self.settle(id).await?;
            if let Some(record) = self.known(cause)? {
                return self.outcome(record.order, record.outcome);
            }
            let current = self.current(id);
            self.note(attempt, &current, command);
            let events = current.order.decide(command)?;
            let entries: Vec<_> = events.into_iter().map(Entry::Order).collect();
            match self.append(id, &current, &entries, cause).await {
                Ok(()) => {
                    let current = self.current(id);
                    return answer(id, &current);
                }
                // What the log has is read before it is decided on again.
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Overloaded)
    }

    /// Begins the confirmation of an order, or recognises that it has been asked for.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// As for [`create`](Self::create).
    pub async fn start_confirmation(&self, id: OrderId, cause: &Cause) -> Result<Started, Error> {
        let (_key, _order) = self.enter(id, cause).await?;
        for attempt in 0..CONFLICTS_MAX {
            self.settle(id).await?;
            if let Some(record) = self.known(cause)? {
                return match record.outcome {
                    Outcome::Confirming => Ok(Started::Before),
                    outcome => self.outcome(id, outcome).map(Started::Done),
                };
            }
            let current = self.current(id);
            self.note(attempt, &current, &Command::Confirm);
            current.order.decide(&Command::Confirm)?;
            let events = current.confirmation.decide(&process::Command::Request);
            let events = events.map_err(|_| Error::ConfirmationUnderWay)?;
            if self.look(|book| book.confirming().len()) >= CONFIRMATIONS_MAX {
                return Err(Error::Overloaded);
            }
            let entries: Vec<_> = events.into_iter().map(Entry::Confirmation).collect();
            match self.append(id, &current, &entries, cause).await {
                Ok(()) => return Ok(Started::Now),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Overloaded)
    }

    /// Ends a confirmation for which all has been done: the order is confirmed. Once it is, this does nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] when the order can no longer be confirmed; or the log did not take it.
    pub async fn complete_confirmation(&self, id: OrderId) -> Result<(), Error> {
        self.end_confirmation(id, |current| {
            let completed = current.confirmation.decide(&process::Command::Complete);
            let Ok(completed) = completed else { return Ok(vec![]) };
            let confirmed = current.order.decide(&Command::Confirm)?;
            let confirmed = confirmed.into_iter().map(Entry::Order);
            Ok(confirmed.chain(completed.into_iter().map(Entry::Confirmation)).collect())
        })
        .await
    }

    /// Ends a confirmation for which all has been taken back. Once it has ended, this does nothing.
    ///
    /// # Errors
    /// The log did not take it.
    pub async fn fail_confirmation(&self, id: OrderId, reason: Reason) -> Result<(), Error> {
        let command = process::Command::Fail(reason);
        self.end_confirmation(id, |current| {
            let failed = current.confirmation.decide(&command).unwrap_or_default();
            Ok(failed.into_iter().map(Entry::Confirmation).collect())
        })
        .await
    }

    /// Returns what came of the command with this cause: none while it is a confirmation under way, or when
    /// nothing is known.
    ///
    /// # Errors
    /// The confirmation failed, or the key belongs to another request.
    pub fn result(&self, cause: &Cause) -> Result<Option<Answer>, Error> {
        match self.recorded(cause)? {
            None | Some(Record { outcome: Outcome::Confirming, .. }) => Ok(None),
            Some(record) => self.outcome(record.order, record.outcome).map(Some),
        }
    }

    async fn end_confirmation(
        &self,
        id: OrderId,
        decide: impl Fn(&OrderEntry) -> Result<Vec<Entry>, domain::Refused>,
    ) -> Result<(), Error> {
        let _order = self.locks.lock(id).await?;
        for _ in 0..CONFLICTS_MAX {
            self.settle(id).await?;
            let current = self.current(id);
            let Some(cause) = self.look(|book| book.confirming().get(&id).cloned()) else { return Ok(()) };
            let entries = decide(&current)?;
            if entries.is_empty() {
                return Ok(());
            }
            match self.append(id, &current, &entries, &cause).await {
                Ok(()) => return Ok(()),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Overloaded)
    }

    /// Counts what somebody asked for, and not that it is decided again because the store has moved on.
    fn note(&self, attempt: u32, current: &OrderEntry, command: &Command) {
        if let (0, Some(state)) = (attempt, current.order.state()) {
            self.asked.count(state, command.verb());
        }
    }

    async fn enter(&self, id: OrderId, cause: &Cause) -> Result<(Held<Arc<str>>, Held<OrderId>), Error> {
        let key = self.keys.lock(cause.key.clone().into()).await?;
        Ok((key, self.locks.lock(id).await?))
    }

    fn current(&self, id: OrderId) -> OrderEntry {
        self.look(|book| book.order(id).cloned()).unwrap_or_default()
    }

    fn known(&self, cause: &Cause) -> Result<Option<Record>, Error> {
        if self.settings.idempotent { self.recorded(cause) } else { Ok(None) }
    }

    fn recorded(&self, cause: &Cause) -> Result<Option<Record>, Error> {
        match self.look(|book| book.record(cause.key.as_str()).cloned()) {
            Some(record) if record.fingerprint != cause.fingerprint => Err(Error::KeyReused),
            record => Ok(record),
        }
    }

    fn outcome(&self, id: OrderId, outcome: Outcome) -> Result<Answer, Error> {
        match outcome {
            Outcome::Done { state, revision } => {
                let current = self.current(id);
                let details = current.order.details().cloned().ok_or(domain::Refused::NotFound)?;
                Ok(Answer { id, details, state, revision })
            }
            Outcome::NotConfirmed(reason) => Err(Error::NotConfirmed(reason)),
            Outcome::Confirming => Err(Error::ConfirmationUnderWay),
        }
    }

    /// Appends `entries` if both streams stand as `current` has them, then tells the book and the subscribers.
    async fn append(
        &self,
        id: OrderId,
        current: &OrderEntry,
        entries: &[Entry],
        cause: &Cause,
    ) -> Result<(), store::Error> {
        let expected = |revision: Option<Revision>| revision.map_or(Expected::NoStream, Expected::Revision);
        let (order, confirmation) = (log::order_stream(id), log::confirmation_stream(id));
        let mut conditions = Vec::new();
        let is_order = |entry: &Entry| matches!(entry, Entry::Order(_));
        if entries.iter().any(is_order) {
            let expected = expected(current.revision);
            conditions.push(StreamCondition { stream: Arc::clone(&order), expected });
        }
        if !entries.iter().all(is_order) {
            let expected = expected(current.confirmation_revision);
            conditions.push(StreamCondition { stream: Arc::clone(&confirmation), expected });
        }
        let events = entries
            .iter()
            .map(|entry| NewEvent {
                stream: Arc::clone(if is_order(entry) { &order } else { &confirmation }),
                event: log::encode(id, entry, cause),
            })
            .collect();
        let durability = self.settings.durability;
        // Until the store has answered, nobody knows how the streams stand.
        self.doubted.lock().insert(id);
        let appended = self.store.append(Batch { events }, Condition::Streams(conditions), durability).await;
        if let Err(error) = &appended
            && !matches!(error, store::Error::Conflict { .. })
            && error.outcome() == store::Outcome::NotAppended
        {
            self.doubted.lock().remove(&id);
        }
        appended?;

        let (mut revision, mut confirmation_revision) = (current.revision, current.confirmation_revision);
        let details = {
            let mut book = self.book.write();
            for entry in entries {
                let newest = if is_order(entry) { &mut revision } else { &mut confirmation_revision };
                let revision = newest.map_or(Revision(0), Revision::next);
                *newest = Some(revision);
                book.apply(id, entry, revision, cause);
            }
            book.order(id).and_then(|entry| entry.order.details().cloned())
        };
        self.doubted.lock().remove(&id);
        for entry in entries {
            self.tell(id, entry, details.as_ref()).await;
        }
        Ok(())
    }

    async fn tell(&self, id: OrderId, entry: &Entry, details: Option<&Arc<Details>>) {
        let recorded = Recorded { id, entry: entry.clone(), details: details.cloned() };
        // A subscriber that is away misses it and rebuilds from the log; the command has been carried out.
        if let Err(error) = self.topic.publish(recorded).await {
            tracing::debug!(%error, "nobody heard of an event");
        }
    }

    /// Reads all orders again that are in doubt, and returns how many they were.
    ///
    /// # Errors
    /// The store cannot be read; the rest stays in doubt.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rest in doubt.
    pub async fn settle_all(&self) -> Result<usize, Error> {
        let doubted: Vec<_> = self.doubted.lock().iter().copied().collect();
        let mut settled = 0;
        for id in doubted {
            // Whoever appends at this moment holds it, and mostly leaves no doubt.
            let _order = self.locks.lock(id).await?;
            settled += usize::from(self.settle(id).await?);
        }
        Ok(settled)
    }

    /// Reads an order from the log again if it is in doubt, for an append was left open or somebody else wrote to it,
    /// and says whether it was.
    async fn settle(&self, id: OrderId) -> Result<bool, Error> {
        if !self.doubted.lock().contains(&id) {
            return Ok(false);
        }
        // One stream at a time, for of one stream a store shows all that it has; then in the order of the log.
        let mut events = Vec::new();
        for stream in [log::order_stream(id), log::confirmation_stream(id)] {
            events.extend(self.store.read(Query::stream(stream)).try_collect::<Vec<_>>().await?);
        }
        events.sort_by_key(|stored| stored.position);
        let mut news = Vec::new();
        let details = {
            let mut book = self.book.write();
            let known = book.order(id).cloned().unwrap_or_default();
            book.forget(id);
            for stored in &events {
                let Some((_, entry)) = book.apply_stored(stored)? else { continue };
                let newest = match entry {
                    Entry::Order(_) => known.revision,
                    Entry::Confirmation(_) => known.confirmation_revision,
                };
                if newest.is_none_or(|newest| stored.revision > newest) {
                    news.push(entry);
                }
            }
            book.order(id).and_then(|entry| entry.order.details().cloned())
        };
        self.doubted.lock().remove(&id);
        for entry in news {
            self.tell(id, &entry, details.as_ref()).await;
        }
        Ok(true)
    }
}

/// What [`Orders::start_confirmation`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It has begun now, and is to be carried out.
    Now,
    /// It has been asked for before and is under way.
    Before,
    /// It has been asked for before and is done.
    Done(Answer),
}

fn answer(id: OrderId, current: &OrderEntry) -> Result<Answer, Error> {
    match (&current.order, current.revision) {
        (domain::Order::Placed { details, state }, Some(revision)) => {
            Ok(Answer { id, details: Arc::clone(details), state: *state, revision })
        }
        _ => Err(domain::Refused::NotFound.into()),
    }
}
