use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::letters::{Fate, LetterId};
use super::{Cause, Envelope, Message};

/// A message in hand.
pub(super) struct Item<T, K> {
    pub(super) message: Message<T>,
    /// How many attempts there were, the one under way included.
    pub(super) attempts: u32,
    pub(super) origin: Origin<K>,
}

/// Where a message in hand came from, and so who is told what became of it.
pub(super) enum Origin<K> {
    /// The inlet, which knows it by this ticket.
    Inlet(K),
    /// The place that keeps dead letters. It is boxed, for letters are few and messages are moved often.
    Letter(Box<Replayed>),
}

/// A letter that is being replayed.
pub(super) struct Replayed {
    pub(super) id: LetterId,
    /// How many attempts there were before, and when the first of them failed.
    pub(super) before: Option<(u32, SystemTime)>,
    /// Who replays it, and is told whether it was handled.
    pub(super) reply: oneshot::Sender<bool>,
    /// Given back when nobody has the letter in hand any more.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl<T, K> Item<T, K> {
    pub(super) fn letter(&self) -> Option<LetterId> {
        match &self.origin {
            Origin::Letter(letter) => Some(letter.id),
            Origin::Inlet(_) => None,
        }
    }

    /// Returns what is to be said of the message if it is dead.
    pub(super) fn dead(&self, cause: Cause, first_failed: SystemTime) -> Fate {
        let before = match &self.origin {
            Origin::Letter(letter) => letter.before,
            Origin::Inlet(_) => None,
        };
        let (attempts, first_failed) = before.unwrap_or((0, first_failed));
        Fate::Dead { cause, attempts: attempts.saturating_add(self.attempts), first_failed }
    }
}

impl<T, K> From<Envelope<T, K>> for Item<T, K> {
    fn from(envelope: Envelope<T, K>) -> Self {
        let Envelope { message, ticket, attempts } = envelope;
        Self { message, attempts, origin: Origin::Inlet(ticket) }
    }
}
