//! The event store: what every store promises, whatever it stands on.
//!
//! **Invariants**, which the conformance suite checks on every store:
//! - A batch is appended whole or not at all, and its events stand next to each other in the order given.
//! - A reader never passes a position behind which an event appears later; positions may have holes.
//! - What [`EventStore::append`] reports as achieved has been achieved: an append that returned
//!   [`Durability::Written`] survives the death of the process, [`Durability::Durable`] the loss of power.
//! - Calls on a stream are linearizable: they take effect one after the other, each between its begin and its end. What
//!   an append as [`Durability::Written`] or more has returned, and what a conflict tells of, the next call sees.
//! - An append that failed with an error whose [`Error::outcome`] is [`Outcome::NotAppended`] left nothing behind.
//! - Appending a batch again (same event ids in the same order) within the store's stated memory changes nothing
//!   and returns where it stands, whatever the condition says by now; it is raised to the durability asked for.
//!   A batch that repeats only some ids of another is [`Error::Invalid`].

mod append;
mod checkpoint;
mod durability;
mod error;
#[cfg(test)]
pub(crate) mod flaky;
mod memory;
mod position;
mod query;

use futures::future::BoxFuture;
use futures::stream::BoxStream;

pub use append::Appended;
pub use append::Archived;
pub use append::Batch;
pub use append::Condition;
pub use append::Deleted;
pub use append::Expected;
pub use append::NewEvent;
pub use append::STREAM_NAME_BYTES_MAX;
pub use append::StreamCondition;
pub use checkpoint::Checkpoint;
pub use durability::Durability;
pub use error::Error;
pub use error::Outcome;
pub use memory::MemoryStore;
pub use position::Position;
pub use position::Revision;
pub use query::Direction;
pub use query::Filter;
pub use query::Label;
pub use query::Query;
pub use query::StoredEvent;

/// What a store can do beyond the invariants; the conformance suite runs what is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The highest durability that an append can achieve.
    pub durability_max: Durability,
    /// One batch may write to several streams atomically.
    pub multi_stream: bool,
    /// How many of the newest event ids are remembered to recognise a batch that is appended again.
    pub deduplicated_events: u64,
    /// Streams can be [deleted](EventStore::delete).
    pub deletes: bool,
    /// What is finished can be [archived](EventStore::archive).
    pub archives: bool,
}

impl Capabilities {
    /// Declares a store that can do `durability_max`, batches over several streams if `multi_stream`, and
    /// recognises the newest `deduplicated_events` events.
    pub const fn new(durability_max: Durability, multi_stream: bool, deduplicated_events: u64) -> Self {
        Self { durability_max, multi_stream, deduplicated_events, deletes: false, archives: false }
    }

    /// Declares that streams can be deleted.
    #[must_use]
    pub const fn deletes(self) -> Self {
        Self { deletes: true, ..self }
    }

    /// Declares that what is finished can be archived.
    #[must_use]
    pub const fn archives(self) -> Self {
        Self { archives: true, ..self }
    }
}

/// An append-only log of events in streams, with one order over all of them.
///
/// Events are opaque bytes with attributes, encoded by the caller. The trait is object-safe: a service chooses
/// its store by configuration.
///
/// **Metadata** of an event (who caused it, which tenant, which correlation) are its extension attributes, as CloudEvents
/// has them: names of lower-case letters and digits, values that are texts. Every store returns all attributes as they
/// were, which the conformance suite checks. Filters look at stream, type and subject only.
pub trait EventStore: Send + Sync + 'static {
    /// Says what this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Appends `batch` atomically if `condition` holds, and returns once `durability` is achieved.
    ///
    /// A durability above [`Capabilities::durability_max`] is refused, never silently lowered.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the condition does not hold; [`Error::Unsupported`]; [`Error::Full`],
    /// [`Error::Io`], [`Error::Closed`] as the store's state has it. [`Error::outcome`] says whether the batch may
    /// have been appended all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the batch is appended; appending it again tells.
    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>>;

    /// Streams the events that `query` selects, in bounded memory. It ends at the head as it was at some moment
    /// after the call, never inside a batch, and yields only events that are at least [`Durability::Written`]; a
    /// store that cannot achieve even that yields what it has accepted.
    ///
    /// The stream ends after its first error.
    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>>;

    /// Streams the events that match `filter` after `after`, first those stored, then those to come, without gap
    /// or repeat. It ends when the store closes.
    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>>;

    /// Returns the position of the newest readable event, [`Position::START`] for an empty store.
    ///
    /// # Errors
    /// [`Error::Closed`] or [`Error::Io`].
    fn head(&self) -> BoxFuture<'_, Result<Position, Error>>;

    /// Returns the revision of the newest event of `stream`, none if it has no event.
    ///
    /// # Errors
    /// [`Error::Closed`] or [`Error::Io`].
    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>>;

    /// Deletes the events of `stream` if it is as `expected`, and returns once that is as safe as `durability` says.
    ///
    /// From then on nobody reads them any more, [`revision`](Self::revision) is none and [`Expected::NoStream`] holds.
    /// Nothing else changes: positions stay as they are, and the next event of the stream gets the revision after the
    /// last one that was deleted, so that no (stream, revision) ever names two events. A batch of deleted events that
    /// is appended again is still recognised. Readers that run may or may not have seen the events, and nobody is told:
    /// whoever must know of it gets an event in another stream.
    ///
    /// Copies elsewhere (backups, archives, other systems) are not touched. Where somebody's data must be forgotten
    /// everywhere, encrypt them with a key of their own and delete that.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the stream is not as expected; [`Error::Unsupported`] where
    /// [`Capabilities::deletes`] is false; as for [`append`](Self::append).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the stream is deleted; deleting it again is allowed.
    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        let _ = (stream, expected, durability);
        Box::pin(async { Err(Error::Unsupported { what: "deleting a stream".to_owned() }) })
    }

    /// Brings the parts of the store that are finished, all but the newest `kept`, into a form that takes less room, and
    /// returns once that is done. What a part is, and when it is finished, is up to the store.
    ///
    /// Nothing that is read changes: neither events nor positions, neither revisions nor what is recognised as repeated.
    /// Appends and reads go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where [`Capabilities::archives`] is false; [`Error::Full`] and [`Error::Io`] when a part
    /// could not be written, which leaves it as it was; [`Error::Damaged`] when one is damaged, which is left alone;
    /// [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open what is archived; archiving again is allowed.
    fn archive(&self, kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        let _ = kept;
        Box::pin(async { Err(Error::Unsupported { what: "archiving".to_owned() }) })
    }

    /// Finishes what was accepted, makes it as durable as was asked for, and closes the store. Later calls
    /// return [`Error::Closed`]. Closing twice is allowed.
    ///
    /// # Errors
    /// [`Error::Io`] when something accepted could not be made durable.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}
