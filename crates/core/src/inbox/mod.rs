//! The inbox: an event that is received again changes nothing the second time.
//!
//! Transports deliver at least once: when a process dies after it has done its work and before it has said so, the
//! event comes again. An [`Inbox`] appends a marker of the event in the same atomic batch as the events that are the
//! work's effect, on the condition that nobody else has moved the inbox meanwhile. So the effect and the memory of
//! it are there together or not at all, whatever dies when, and of two processes that handle the same event one is
//! told that it is a [duplicate](Once::Duplicate).
//!
//! What an inbox remembers is bounded: of each of its partitions the newest [`InboxOptions::window`] events. An event
//! that comes again after more than that many others of its partition is not recognised.
//!
//! The memory is bounded, the store is not: each event handled adds a marker to it, and
//! nothing prunes them. A [dead letter](crate::delivery::DeadLetters) that is replayed later than `window` others of
//! its partition is applied again if its last attempt had been applied and nobody heard of it.
//!
//! The store must append to several streams at once
//! ([`Capabilities::multi_stream`](crate::store::Capabilities::multi_stream)).

mod effect;
mod error;
mod layer;
mod once;
mod options;
mod partition;
#[cfg(test)]
mod tests;

pub use effect::Effect;
pub use error::Error;
pub use layer::InboxLayer;
pub use layer::InboxService;
pub use once::Inbox;
pub use once::Once;
pub use options::InboxOptions;
