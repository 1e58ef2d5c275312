use std::collections::HashSet;
use std::sync::Arc;

use super::{Durability, Error, Filter, Position, Revision};
use crate::Event;

/// The longest name of a stream, in bytes.
pub const STREAM_NAME_BYTES_MAX: usize = 512;

/// An event and the stream that it is to be appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The stream's name; not empty, at most 512 bytes.
    pub stream: Arc<str>,
    /// The event.
    pub event: Event,
}

/// Events that are appended together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The events in the order in which they are to stand.
    pub events: Vec<NewEvent>,
}

impl Batch {
    /// Makes a batch of `events`, all for `stream`.
    pub fn to_stream(stream: impl Into<Arc<str>>, events: impl IntoIterator<Item = Event>) -> Self {
        let stream = stream.into();
        Self {
            events: events.into_iter().map(|event| NewEvent { stream: Arc::clone(&stream), event }).collect(),
        }
    }

    /// Checks what every store refuses, so that all refuse it alike.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the batch is empty, a stream's name is empty or longer than
    /// [`STREAM_NAME_BYTES_MAX`], or an event id occurs twice; [`Error::Unsupported`] when the batch spans
    /// several streams but `multi_stream` is false.
    pub fn check(&self, multi_stream: bool) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::Invalid { reason });
        let Some(first) = self.events.first() else {
            return invalid("the batch has no event".to_owned());
        };
        for NewEvent { stream, .. } in &self.events {
            if stream.is_empty() {
                return invalid("the name of a stream is empty".to_owned());
            }
            if stream.len() > STREAM_NAME_BYTES_MAX {
                let length = stream.len();
                return invalid(format!(
                    "the name of a stream has {length} bytes, more than {STREAM_NAME_BYTES_MAX}"
                ));
            }
        }
        // Most batches hold one event, which cannot repeat an id.
        if self.events.len() > 1 {
            let mut ids = HashSet::with_capacity(self.events.len());
            if let Some(twice) = self.events.iter().find(|new| !ids.insert(new.event.id())) {
                return invalid(format!("event {} occurs twice in the batch", twice.event.id()));
            }
        }
        if !multi_stream && self.events.iter().any(|new| new.stream != first.stream) {
            return Err(Error::Unsupported { what: "a batch over several streams".to_owned() });
        }
        Ok(())
    }
}

/// What must hold at the moment of appending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// Each named stream is as expected.
    Streams(Vec<StreamCondition>),
    /// No event matching `filter` stands after `after`: nothing that the decision rests on has changed since.
    NoneMatching {
        /// Which events the decision rests on.
        filter: Filter,
        /// Up to where the decision has seen them.
        after: Position,
    },
}

impl Condition {
    /// Makes the condition that `stream` is as `expected`.
    pub fn stream(stream: impl Into<Arc<str>>, expected: Expected) -> Self {
        Self::Streams(vec![StreamCondition { stream: stream.into(), expected }])
    }
}

/// What one stream must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCondition {
    /// The stream's name.
    pub stream: Arc<str>,
    /// What it must look like.
    pub expected: Expected,
}

/// The state of a stream on which an append depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The stream has no event.
    NoStream,
    /// The stream has at least one event.
    Exists,
    /// The newest event of the stream has this revision.
    Revision(Revision),
}

/// Where a batch stands, and how safe it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position of the batch's last event.
    pub position: Position,
    /// The revision of the batch's last event in that event's stream.
    pub revision: Revision,
    /// The level achieved, at least the one asked for.
    pub achieved: Durability,
    /// The batch had been appended before; nothing was written now.
    pub duplicate: bool,
}

/// What deleting a stream has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// How many events were deleted.
    pub events: u64,
    /// The level at which they are gone, at least the one asked for.
    pub achieved: Durability,
}

/// What [archiving](super::EventStore::archive) has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Archived {
    /// How many parts were archived.
    pub parts: u64,
    /// How many bytes they took before.
    pub bytes_before: u64,
    /// How many bytes they take now.
    pub bytes_after: u64,
}
