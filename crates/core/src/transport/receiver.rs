use futures::future::BoxFuture;
use steadfast_base::Deadline;

use super::{Error, LinkState};
use crate::Event;

/// What identifies a received event to the receiver that it came from; it means nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// An event as it was received.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Received {
    /// The event.
    pub event: Event,
    /// What to settle it by.
    pub token: Token,
    /// How often the transport has handed it out before, as far as it knows; 0 for the first time. A transport that
    /// keeps this count beyond the death of a process lets a [`Consumer`](super::Consumer) find out which event kills
    /// it.
    pub redeliveries: u32,
}

impl Received {
    /// Makes a received event.
    pub fn new(event: Event, token: Token, redeliveries: u32) -> Self {
        Self { event, token, redeliveries }
    }
}

/// What became of a received event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was handled, or is kept as a dead letter: the transport must not hand it out again.
    Handled,
    /// It was not handled: the transport hands it out again, to whichever receiver of the group.
    Released,
}

/// The word on one received event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Which event.
    pub token: Token,
    /// What became of it.
    pub outcome: Outcome,
}

/// One member of a group that receives events. Dropping it releases what is not settled and ends its tasks.
///
/// All methods may be called at the same time from several tasks.
pub trait Receiver: Send + Sync {
    /// Waits for events and returns between 1 and `max` of them; none once the source has ended or
    /// [`close`](Self::close) was called.
    ///
    /// It waits while [`Subscribe::in_flight_max`](super::Subscribe::in_flight_max) events are not settled. A lost
    /// connection is not an error: it is made again meanwhile.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Rejected`], [`Error::Configuration`]: waiting longer cannot help.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>>;

    /// Tells the transport what became of events. It returns once the transport has been told, so that a return
    /// means that handled events are not handed out again; where a connection is lost before that, they may be. A
    /// transport that can only say "all before this one" may hand out to another receiver again what was handled
    /// while an earlier event was not. Tokens that are unknown or were settled before are ignored.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the transport could not be told, [`Error::Closed`] after closing; the events may be
    /// received again.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open which settlements were told.
    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>>;

    /// Returns how the connection stands.
    fn link(&self) -> LinkState;

    /// Stops receiving, releases what is not settled, tells the transport what was settled, and disconnects.
    /// Closing twice is allowed.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] when that took until `deadline`; [`Error::Unavailable`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the receiver closed; what was not told is received again.
    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>>;
}
