use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::kept::Kept;
use super::record::{self, Record};
use super::{DeadLetters, Error, Fate, Letter, LetterId, LetterQuery};
use crate::store::{self, Appended, Batch, Condition, Durability, EventStore, Query, Revision};
use crate::{Event, EventId};

/// Keeps dead letters of events in a stream of an event store, so that they, and the keys parked behind them,
/// outlive the process.
///
/// They are in memory too, which `capacity` bounds; so one process at a time should keep letters under one name. A
/// letter that another one puts there is seen once this is opened again. Taking a letter leaves its record in the
/// stream, which [`open`](Self::open) reads whole: where many letters come and go, keep them in a store of their own,
/// and begin a new one when no letter is left.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::delivery::{Handling, Order, StoredDeadLetters};
/// use steadfast_core::store::{Durability, EventStore, MemoryStore};
///
/// # async fn example() -> Result<(), steadfast_core::delivery::DeadLettersError> {
/// let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
/// let letters = StoredDeadLetters::open(store, "shipping", 10_000, Durability::Accepted).await?;
/// let handling =
///     Handling { order: Order::PerKey, dead_letters: Arc::new(letters), ..Handling::default() };
/// # Ok(()) }
/// ```
pub struct StoredDeadLetters {
    store: Arc<dyn EventStore>,
    stream: Arc<str>,
    capacity: usize,
    durability: Durability,
    kept: Mutex<Kept<Event>>,
    /// The records of letters which may have been appended although nobody heard of it, so that another attempt is
    /// recognised; no more than messages are in hand.
    unsure: Mutex<HashMap<Addressed, EventId>>,
}

/// An event, and the destination and subscriber that it could not be delivered to: one event may become a letter of
/// several subscriptions.
type Addressed = (EventId, Arc<str>, Arc<str>);

impl StoredDeadLetters {
    /// Reads the letters kept in `store` under `name`, to which more are added with `durability` as long as there are
    /// fewer than `capacity`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot be read; [`Error::Damaged`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn open(
        store: Arc<dyn EventStore>,
        name: &str,
        capacity: usize,
        durability: Durability,
    ) -> Result<Self, Error> {
        let stream: Arc<str> = format!("letters-{name}").into();
        let mut kept = Kept::default();
        {
            let mut records = store.read(Query::stream(Arc::clone(&stream)));
            while let Some(stored) = records.try_next().await.map_err(Error::unavailable)? {
                let id = id_at(stored.revision);
                match record::read(stored.event, id)? {
                    Record::Kept(letter) => kept.restore(*letter),
                    Record::Amended(id, fate) => kept.amend(id, &fate),
                    Record::Taken(id) => drop(kept.remove(id)),
                }
            }
        }
        Ok(Self { store, stream, capacity, durability, kept: Mutex::new(kept), unsure: Mutex::default() })
    }

    async fn append(&self, event: Event) -> Result<Appended, Error> {
        let batch = Batch::to_stream(Arc::clone(&self.stream), [event]);
        self.store.append(batch, Condition::Any, self.durability).await.map_err(|error| match error {
            store::Error::Damaged { .. } => Error::Damaged { reason: error.to_string() },
            _ => Error::unavailable(error),
        })
    }

    async fn put(&self, letter: &Letter<Event>) -> Result<LetterId, Error> {
        let leaving = {
            let kept = self.kept.lock();
            if let Some(id) = kept.find(letter) {
                return Ok(id);
            }
            if kept.len() >= self.capacity {
                return Err(Error::Full { capacity: self.capacity });
            }
            kept.find_leaving(letter)
        };
        // It is not known whether that one is still there; it must be neither missing nor there twice.
        if let Some(leaving) = leaving {
            self.take(leaving).await?;
        }
        let Letter { destination, subscriber, message, .. } = letter;
        let addressed = (message.payload.id(), Arc::clone(destination), Arc::clone(subscriber));
        let record = *self.unsure.lock().entry(addressed.clone()).or_insert_with(EventId::generate);
        let appended = self.append(record::kept(letter, record)?).await?;
        self.unsure.lock().remove(&addressed);
        let id = id_at(appended.revision);
        self.kept.lock().restore(Letter { id, ..letter.clone() });
        Ok(id)
    }
}

/// The first letter has the id 1, for 0 is before all letters.
fn id_at(revision: Revision) -> LetterId {
    LetterId(revision.0 + 1)
}

impl DeadLetters<Event> for StoredDeadLetters {
    fn holds(&self, destination: &str, subscriber: &str, partition_key: &str) -> Option<bool> {
        Some(self.kept.lock().holds(destination, subscriber, partition_key))
    }

    fn put<'a>(&'a self, letter: &'a Letter<Event>) -> BoxFuture<'a, Result<LetterId, Error>> {
        Box::pin(self.put(letter))
    }

    fn list<'a>(&'a self, select: &'a LetterQuery) -> BoxFuture<'a, Result<Vec<Letter<Event>>, Error>> {
        Box::pin(async { Ok(self.kept.lock().select(select)) })
    }

    fn amend<'a>(&'a self, id: LetterId, fate: &'a Fate) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if self.kept.lock().contains(id) {
                self.append(record::amended(id, fate)?).await?;
                self.kept.lock().amend(id, fate);
            }
            Ok(())
        })
    }

    fn take(&self, id: LetterId) -> BoxFuture<'_, Result<Option<Letter<Event>>, Error>> {
        Box::pin(async move {
            if !self.kept.lock().begin_removal(id) {
                return Ok(None);
            }
            self.append(record::taken(id)?).await?;
            Ok(self.kept.lock().end_removal(id))
        })
    }
}

impl std::fmt::Debug for StoredDeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredDeadLetters")
            .field("stream", &self.stream)
            .field("letters", &self.kept.lock().len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
