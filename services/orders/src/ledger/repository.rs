use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::RwLock;
use steadfast::core::store::{
    self, Batch, Condition, Durability, EventStore, Expected, Query, Revision, StoredEvent,
};

use super::{Crowded, Held, Locks, Recorded};

/// How many requests may hold or wait for one aggregate.
const USERS_MAX: usize = 64;
/// How often a command is decided anew when the store has moved on.
const CONFLICTS_MAX: u32 = 3;

/// The aggregates of one kind, by name: in memory, and in the log before anybody is told.
///
/// Memory grows with every aggregate and is never given back: it is the log's content without its history.
pub struct Repository<A: Recorded> {
    store: Arc<dyn EventStore>,
    durability: Durability,
    entries: RwLock<HashMap<Arc<str>, Entry<A>>>,
    locks: Locks<Arc<str>>,
}

#[derive(Debug, Clone)]
struct Entry<A> {
    aggregate: A,
    revision: Option<Revision>,
}

impl<A: Recorded> Default for Entry<A> {
    fn default() -> Self {
        Self { aggregate: A::default(), revision: None }
    }
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The aggregate refuses it; repeating it cannot help.
    #[error("refused")]
    Refused(E),
    /// Too many requests for one aggregate: come back later.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl<A: Recorded> Repository<A> {
    /// Rebuilds the aggregates from `store`, and will ask it for `durability`.
    ///
    /// # Errors
    /// The store cannot be read, or holds an event that is not one of ours.
    pub async fn load(store: Arc<dyn EventStore>, durability: Durability) -> Result<Self, store::Error> {
        let mut entries: HashMap<Arc<str>, Entry<A>> = HashMap::new();
        let mut events = store.read(Query::default());
        while let Some(stored) = events.try_next().await? {
            if let Some(name) = stored.stream.strip_prefix(A::PREFIX) {
                entries.entry(name.into()).or_default().apply(&stored)?;
            }
        }
        drop(events);
        Ok(Self { store, durability, entries: RwLock::new(entries), locks: Locks::new(USERS_MAX) })
    }

    /// Visits every aggregate, in no particular order. Commands wait meanwhile.
    pub fn visit(&self, mut visitor: impl FnMut(&str, &A)) {
        self.entries.read().iter().for_each(|(name, entry)| visitor(name, &entry.aggregate));
    }

    /// Carries out `command` on the aggregate `name`, and returns whether anything changed.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the command is carried out; repeating it tells.
    pub async fn execute(&self, name: Arc<str>, command: &A::Command) -> Result<bool, Error<A::Error>> {
        let mut session = self.open(name).await?;
        for _ in 0..CONFLICTS_MAX {
            let events = session.aggregate().decide(command).map_err(Error::Refused)?;
            if events.is_empty() {
                return Ok(false);
            }
            match session.append(&events).await {
                Ok(()) => return Ok(true),
                Err(store::Error::Conflict { .. }) => session.reload().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(store::Error::Overloaded.into())
    }

    /// Waits until nobody else works on the aggregate `name`.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn open(&self, name: Arc<str>) -> Result<Session<'_, A>, Crowded> {
        let held = self.locks.lock(Arc::clone(&name)).await?;
        let entry = self.entries.read().get(&name).cloned().unwrap_or_default();
        Ok(Session { repository: self, name, entry, _held: held })
    }
}

/// One aggregate, for one worker at a time.
pub struct Session<'a, A: Recorded> {
    repository: &'a Repository<A>,
    name: Arc<str>,
    entry: Entry<A>,
    _held: Held<Arc<str>>,
}

impl<A: Recorded> Session<'_, A> {
    /// Returns the aggregate as it is now.
    pub fn aggregate(&self) -> &A {
        &self.entry.aggregate
    }

    /// Appends `events` to the log, and then applies them.
    ///
    /// # Errors
    /// [`store::Error::Conflict`] when the log has moved on: [`reload`](Self::reload) and decide again.
    pub async fn append(&mut self, events: &[A::Event]) -> Result<(), store::Error> {
        let expected = self.entry.revision.map_or(Expected::NoStream, Expected::Revision);
        let stream = self.stream();
        let batch = Batch::to_stream(Arc::clone(&stream), events.iter().map(A::encode));
        let condition = Condition::stream(stream, expected);
        let repository = self.repository;
        repository.store.append(batch, condition, repository.durability).await?;
        for event in events {
            self.entry.aggregate.evolve(event);
            self.entry.revision = Some(self.entry.revision.map_or(Revision(0), Revision::next));
        }
        self.publish();
        Ok(())
    }

    /// Rebuilds the aggregate from the log.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn reload(&mut self) -> Result<(), store::Error> {
        let mut entry = Entry::default();
        let mut events = self.repository.store.read(Query::stream(self.stream()));
        while let Some(stored) = events.try_next().await? {
            entry.apply(&stored)?;
        }
        drop(events);
        self.entry = entry;
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        self.repository.entries.write().insert(Arc::clone(&self.name), self.entry.clone());
    }

    fn stream(&self) -> Arc<str> {
        format!("{}{}", A::PREFIX, self.name).into()
    }
}

impl<A: Recorded> Entry<A> {
    fn apply(&mut self, stored: &StoredEvent) -> Result<(), store::Error> {
        let event = A::decode(&stored.event).map_err(|error| store::Error::Damaged {
            place: format!("event {} of stream `{}`", stored.revision, stored.stream),
            problem: error.to_string(),
        })?;
        self.aggregate.evolve(&event);
        self.revision = Some(stored.revision);
        Ok(())
    }
}
