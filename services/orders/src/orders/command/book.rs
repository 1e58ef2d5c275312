use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use steadfast::core::Aggregate;
use steadfast::core::store::{self, EventStore, Query, Revision, StoredEvent};

use crate::orders::domain::{Details, Order, OrderId, State};
use crate::orders::log::{self, Cause, Entry, Fingerprint};
use crate::orders::process::{self, Confirmation};

/// All that the log says about orders and keys, in memory for as long as the log lives: with the log's own index the
/// program grows by about 4 KiB for each confirmed order of five lines.
///
/// It changes only by events that are in the log.
#[derive(Debug, Default)]
pub struct Book {
    orders: HashMap<OrderId, OrderEntry>,
    keys: HashMap<Arc<str>, Record>,
    confirming: HashMap<OrderId, Cause>,
}

/// One order and where its streams stand.
#[derive(Debug, Clone, Default)]
pub struct OrderEntry {
    /// The order.
    pub order: Order,
    /// The revision of its newest event.
    pub revision: Option<Revision>,
    /// Its confirmation.
    pub confirmation: Confirmation,
    /// The revision of the newest event of its confirmations.
    pub confirmation_revision: Option<Revision>,
}

/// What was asked under a key, and what came of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// What was asked.
    pub fingerprint: Fingerprint,
    /// Of which order.
    pub order: OrderId,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done {
        /// How far the order was then.
        state: State,
        /// The revision of the event.
        revision: Revision,
    },
    /// It is a confirmation, and under way.
    Confirming,
    /// It is a confirmation, and failed; what had been done for it was taken back.
    NotConfirmed(process::Reason),
}

impl Book {
    /// Rebuilds the book from `store`, and shows each event to `witness`.
    ///
    /// # Errors
    /// The store cannot be read, or holds an event that is not one of ours.
    pub async fn load(
        store: &dyn EventStore,
        mut witness: impl FnMut(OrderId, &Entry, Option<&Arc<Details>>),
    ) -> Result<Self, store::Error> {
        let mut book = Self::default();
        let mut events = store.read(Query::default());
        while let Some(stored) = events.try_next().await? {
            if let Some((id, entry)) = book.apply_stored(&stored)? {
                witness(id, &entry, book.order(id).and_then(|entry| entry.order.details()));
            }
        }
        Ok(book)
    }

    /// Returns an order.
    pub fn order(&self, id: OrderId) -> Option<&OrderEntry> {
        self.orders.get(&id)
    }

    /// Returns what is known of a key.
    pub fn record(&self, key: &str) -> Option<&Record> {
        self.keys.get(key)
    }

    /// Returns the confirmations under way and the commands that began them.
    pub fn confirming(&self) -> &HashMap<OrderId, Cause> {
        &self.confirming
    }

    /// Forgets an order, to read it again from the log. What is known of keys stays.
    pub fn forget(&mut self, id: OrderId) {
        self.orders.remove(&id);
    }

    /// Applies an event as the store returned it.
    ///
    /// # Errors
    /// It is not one of ours.
    pub fn apply_stored(&mut self, stored: &StoredEvent) -> Result<Option<(OrderId, Entry)>, store::Error> {
        let Some((id, entry, cause)) = log::decode(stored)? else { return Ok(None) };
        self.apply(id, &entry, stored.revision, &cause);
        Ok(Some((id, entry)))
    }

    /// Applies an event that is in the log.
    pub fn apply(&mut self, id: OrderId, entry: &Entry, revision: Revision, cause: &Cause) {
        let order = self.orders.entry(id).or_default();
        let outcome = match entry {
            Entry::Order(event) => {
                order.order.evolve(event);
                order.revision = Some(revision);
                Some(Outcome::Done { state: event.state(), revision })
            }
            Entry::Confirmation(event) => {
                order.confirmation.evolve(event);
                order.confirmation_revision = Some(revision);
                match event {
                    process::Event::Requested => {
                        self.confirming.insert(id, cause.clone());
                        Some(Outcome::Confirming)
                    }
                    process::Event::Failed(reason) => {
                        self.confirming.remove(&id);
                        Some(Outcome::NotConfirmed(reason.clone()))
                    }
                    // What came of it stands with the order's event.
                    process::Event::Completed => {
                        self.confirming.remove(&id);
                        None
                    }
                }
            }
        };
        if let Some(outcome) = outcome {
            let record = Record { fingerprint: cause.fingerprint, order: id, outcome };
            self.keys.insert(cause.key.clone().into(), record);
        }
    }
}
