use std::sync::Arc;

use steadfast_base::{Clock, SystemClock};

use super::letters::{DeadLetters, Unchosen};
use super::{Order, Redelivery};
use crate::Upcast;

/// How the messages of one subscription are handled.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::delivery::{Handling, MemoryDeadLetters, Order};
///
/// let handling = Handling::<String> {
///     order: Order::PerKey,
///     concurrency: 64,
///     dead_letters: Arc::new(MemoryDeadLetters::new(10_000)),
///     ..Handling::default()
/// };
/// assert_eq!(handling.redelivery.attempts_max, 5);
/// ```
pub struct Handling<T> {
    /// Which order is kept.
    pub order: Order,
    /// How many handlers may be at work at the same time, over all that run on one dispatcher; 0 counts as 1, and
    /// under [`Order::Total`] it is always 1. A message that waits to be repeated is not at work.
    pub concurrency: usize,
    /// How many messages may be drawn and not settled, besides those being handled; 0 counts as 1. Where that many
    /// wait, for their key or to be repeated, no more are drawn.
    pub waiting_max: usize,
    /// How often a message is repeated, and after what wait.
    pub redelivery: Redelivery,
    /// Where messages go that no attempt could deliver. By default they are [logged](super::LoggedDeadLetters) and
    /// lost, and no key is parked.
    pub dead_letters: Arc<dyn DeadLetters<T>>,
    /// How many messages may be parked behind dead letters of their key, and what then; only for
    /// [`Order::PerKey`].
    pub parking: Parking,
    /// What brings a dead letter into today's form before it is replayed; none leaves it as it is.
    pub upcast: Option<Arc<dyn Upcast<T>>>,
    /// The system that messages come from, as OpenTelemetry's attribute `messaging.system` wants it.
    pub system: &'static str,
    /// The wall clock that dead letters are stamped by.
    pub clock: Arc<dyn Clock>,
}

/// How many messages may be parked behind dead letters of their partition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parking {
    /// How many of one key.
    pub per_key_max: usize,
    /// How many of all keys together.
    pub total_max: usize,
    /// What is done with a message of a parked key when there is no room.
    pub full: WhenFull,
}

/// What is done with a message of a parked key when no more may be parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhenFull {
    /// It waits in hand until its key is replayed. Nothing is lost and nothing out of order, but once
    /// [`Handling::waiting_max`] messages wait like that, no more are drawn, of any key.
    #[default]
    Wait,
    /// It becomes a dead letter itself, kept where dead letters are, and is replayed in its place.
    DeadLetter,
    /// It is handled, past those that are parked: the order of its key is broken.
    Pass,
}

impl Default for Parking {
    /// 1,000 of one key, 10,000 of all, then waits.
    fn default() -> Self {
        Self { per_key_max: 1_000, total_max: 10_000, full: WhenFull::Wait }
    }
}

impl<T: Send + Sync + 'static> Default for Handling<T> {
    /// One after the other, the default [`Redelivery`], dead letters logged, up to 1,024 messages waiting in hand,
    /// up to 16 handlers at the same time where the order allows it.
    fn default() -> Self {
        Self {
            order: Order::Total,
            concurrency: 16,
            waiting_max: 1_024,
            redelivery: Redelivery::default(),
            dead_letters: Arc::new(Unchosen),
            parking: Parking::default(),
            upcast: None,
            system: "steadfast",
            clock: Arc::new(SystemClock),
        }
    }
}

impl<T> Handling<T> {
    /// Says whether the key of a dead letter is parked.
    pub(super) fn parks(&self) -> bool {
        self.order == Order::PerKey && self.dead_letters.keeps()
    }
}

impl<T> Clone for Handling<T> {
    fn clone(&self) -> Self {
        Self {
            redelivery: self.redelivery.clone(),
            dead_letters: Arc::clone(&self.dead_letters),
            upcast: self.upcast.clone(),
            clock: Arc::clone(&self.clock),
            ..*self
        }
    }
}

impl<T> std::fmt::Debug for Handling<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handling")
            .field("order", &self.order)
            .field("concurrency", &self.concurrency)
            .field("waiting_max", &self.waiting_max)
            .field("redelivery", &self.redelivery)
            .field("parking", &self.parking)
            .finish_non_exhaustive()
    }
}
