use std::sync::Arc;

use super::{NewEvent, Position, Revision};
use crate::Event;

/// Which events are meant; an empty list means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Names of streams.
    pub streams: Vec<Arc<str>>,
    /// Types of events.
    pub kinds: Vec<Arc<str>>,
    /// Subjects of events.
    pub subjects: Vec<Arc<str>>,
}

impl Filter {
    /// Makes the filter that lets all events pass.
    pub fn all() -> Self {
        Self::default()
    }

    /// Makes the filter for one stream.
    pub fn stream(stream: impl Into<Arc<str>>) -> Self {
        Self { streams: vec![stream.into()], ..Self::default() }
    }

    /// Says whether `event` in `stream` passes.
    pub fn matches(&self, stream: &str, event: &Event) -> bool {
        self.passes(stream, event.kind(), event.subject())
    }

    /// Says whether the event of which `label` is left passes.
    pub fn matches_label(&self, label: &Label) -> bool {
        self.passes(&label.stream, &label.kind, label.subject.as_deref())
    }

    /// Says whether an event of type `kind` about `subject` in `stream` passes.
    pub fn passes(&self, stream: &str, kind: &str, subject: Option<&str>) -> bool {
        let passes = |list: &[Arc<str>], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|name| &**name == value))
        };
        passes(&self.streams, Some(stream))
            && passes(&self.kinds, Some(kind))
            && passes(&self.subjects, subject)
    }
}

/// What a filter looks at in an event; a store may keep it when the rest of the event is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The stream's name.
    pub stream: Arc<str>,
    /// The event's type.
    pub kind: Arc<str>,
    /// The event's subject, if it has one.
    pub subject: Option<Arc<str>>,
}

impl From<NewEvent> for Label {
    fn from(new: NewEvent) -> Self {
        Self { stream: new.stream, kind: new.event.kind, subject: new.event.subject }
    }
}

/// The order in which events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// Which events to read, from where, which way, and how many at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Which events.
    pub filter: Filter,
    /// Forward: only events after this position. Backward: only events before it. None: from the end that the
    /// direction starts at.
    pub from: Option<Position>,
    /// Which way.
    pub direction: Direction,
    /// At most this many events; none means no limit.
    pub limit: Option<u64>,
}

impl Query {
    /// Makes the query for one stream, oldest event first.
    pub fn stream(stream: impl Into<Arc<str>>) -> Self {
        Self { filter: Filter::stream(stream), ..Self::default() }
    }

    /// Makes the query for all events after `position`, oldest first.
    pub fn after(position: Position) -> Self {
        Self { from: Some(position), ..Self::default() }
    }
}

/// An event as a store returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order over all events.
    pub position: Position,
    /// Its stream.
    pub stream: Arc<str>,
    /// Its number in its stream.
    pub revision: Revision,
    /// The event.
    pub event: Event,
}
