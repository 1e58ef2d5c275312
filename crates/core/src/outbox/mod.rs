//! The outbox: what a store has committed is published to a [`Sink`](crate::transport::Sink), at least once and in
//! order.
//!
//! A service appends events to its store and is done: there is no second write that could fail. An [`OutboxRelay`] reads
//! the store behind it, sends, and moves its [`Checkpoint`](crate::store::Checkpoint) after the sink has taken the
//! events. When it dies in between, the next one sends what follows the checkpoint again: receivers recognise
//! that by the event's id.
//!
//! **Invariants.** An event is sent only after it is in the store, and the checkpoint passes it only after the sink
//! has achieved the durability asked for. Events are sent in the order of the store. Of two outboxes with one name,
//! the second to move the checkpoint ends with a conflict.

mod error;
mod options;
mod publish;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use options::OnRejected;
pub use options::OutboxOptions;
pub use publish::OutboxMetrics;
pub use publish::OutboxRelay;
