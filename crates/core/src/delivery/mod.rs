//! Delivery: how a message reaches a handler, in which order, how often, and what becomes of it when it cannot.
//!
//! A [`Dispatcher`] draws messages from an [`Inlet`] and gives them to handlers: a [`tower::Service`] of
//! [`Delivery`], an async function, or a service of batches. How it does that is its [`Handling`]: the [`Order`]
//! that is kept, how many handlers work at the same time, how often a message is repeated ([`Redelivery`]), and
//! where those go that no attempt could deliver ([`DeadLetters`]).
//!
//! **Invariants.**
//! - Each message that is drawn is settled once: handled, dead, parked, or released.
//! - A dead letter is kept before its message is settled as dead.
//! - An error, a panic, an attempt that takes too long and a handler that is dropped are failed attempts, never a
//!   dead subscription. The number of attempts of a message is bounded.
//! - A dispatcher starts no task: what runs is owned by whoever awaits it.

mod caller;
mod cause;
mod chores;
mod crew;
#[allow(clippy::module_inception, reason = "the file holds `Delivery`")]
mod delivery;
mod dispatcher;
mod handling;
mod inlet;
mod insist;
mod item;
mod keys;
mod letters;
mod line;
mod message;
mod metrics;
mod order;
mod parked;
mod pool;
mod redelivery;
mod replay;
mod shared;
mod slots;
mod span;
mod table;
#[cfg(test)]
mod tests;
mod timer;

pub use cause::Cause;
pub use delivery::Delivery;
pub use dispatcher::Dispatcher;
pub use handling::Handling;
pub use handling::Parking;
pub use handling::WhenFull;
pub use inlet::Envelope;
pub use inlet::Inlet;
pub use inlet::Settled;
pub use letters::DeadLetters;
pub use letters::Error as DeadLettersError;
pub use letters::Fate;
pub use letters::Letter;
pub use letters::LetterId;
pub use letters::LetterQuery;
pub use letters::LoggedDeadLetters;
pub use letters::MemoryDeadLetters;
pub use letters::StoredDeadLetters;
pub use message::Message;
pub use metrics::HandlingMetrics;
pub use order::Order;
pub use redelivery::Redelivery;
pub use replay::Replay;
pub use replay::Replayed;
