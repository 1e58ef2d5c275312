use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Capabilities, Error, Receiver};

/// Where a group that has never received begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// At the oldest event that is kept.
    #[default]
    Oldest,
    /// After the newest event that was there when the group first subscribed.
    New,
}

/// What a receiver asks for.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The group whose members share the events; for a transport without groups a name in logs and metrics.
    pub group: Arc<str>,
    /// Where the group begins, if it has not received before.
    pub start: Start,
    /// How many events may be received and not settled, at least 1.
    pub in_flight_max: usize,
}

impl Subscribe {
    /// Subscribes for `group` from the oldest event, with at most 256 events not settled.
    pub fn new(group: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), start: Start::Oldest, in_flight_max: 256 }
    }
}

/// A place that events come from: one topic, stream, table or endpoint, chosen when it is made.
pub trait Source: Send + Sync {
    /// Returns the system's name as OpenTelemetry's attribute `messaging.system` wants it, such as `redis`.
    fn system(&self) -> &'static str;

    /// Returns the place's name in that system, such as a topic's.
    fn destination(&self) -> &str;

    /// Returns what this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// Opens a receiver; with groups, opening another one of the same group shares the work.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no first connection could be made within the driver's stated time;
    /// [`Error::Denied`], [`Error::Configuration`], [`Error::Unsupported`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves no receiver behind.
    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>>;
}
