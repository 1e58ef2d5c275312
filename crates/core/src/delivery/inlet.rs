use std::future::Future;
use std::sync::Arc;

use super::Message;

/// A message on its way to a handler, with what its inlet knows it by.
#[derive(Debug, Clone)]
pub struct Envelope<T, K> {
    /// The message.
    pub message: Message<T>,
    /// What to settle it by.
    pub ticket: K,
    /// How many attempts were made before it came here.
    pub attempts: u32,
}

/// How a message has left the hands of those who deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settled {
    /// A handler has taken it.
    Handled,
    /// No attempt could deliver it: it is a dead letter.
    Dead,
    /// It is kept behind a dead letter of its key.
    Parked,
    /// Nobody handled it: it goes back to where it came from.
    Released,
}

/// Where messages are drawn from for handlers, and where is said what became of each: a queue of the bus, or the
/// receiver of a transport.
///
/// Several consumers may draw from one inlet at the same time; each message goes to one of them.
pub trait Inlet<T>: Send + Sync {
    /// What identifies a message to this inlet.
    type Ticket: Send + 'static;

    /// Waits for messages and appends between 1 and `max` of them to `into`; returns how many, 0 once the inlet has
    /// ended.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    fn draw(
        &self,
        max: usize,
        into: &mut Vec<Envelope<T, Self::Ticket>>,
    ) -> impl Future<Output = usize> + Send;

    /// Says what became of a message. It must not block.
    fn settle(&self, ticket: Self::Ticket, settled: Settled);

    /// Says that a message is being attempted again. It must not block.
    fn repeated(&self, ticket: &Self::Ticket) {
        let _ = ticket;
    }

    /// Returns where a message came from, if this draws from several places; else it is the one that the dispatcher
    /// was made for.
    fn destination(&self, ticket: &Self::Ticket) -> Option<&Arc<str>> {
        let _ = ticket;
        None
    }
}
