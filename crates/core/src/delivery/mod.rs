//! Delivery: how a message reaches a handler, in which order, how often, and what becomes of it when it cannot.

mod dead_letter;
mod inlet;
mod message;
mod order;
mod redelivery;

pub use dead_letter::DeadLetter;
pub use inlet::Envelope;
pub use inlet::Inlet;
pub use inlet::Settled;
pub use message::Delivery;
pub use message::Message;
pub use order::Order;
pub use redelivery::Redelivery;
pub(crate) use redelivery::{Failure, attempt};
