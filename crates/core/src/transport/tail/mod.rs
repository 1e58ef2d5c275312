//! The tail of an event store as a transport: what was appended is received, what is sent is appended.
//!
//! There are two ways to keep where a reader is:
//! - [`Tail`] is a [`Source`](super::Source): it moves the reader's [`Checkpoint`](crate::store::Checkpoint) after
//!   events are handled. What was handled and not yet noted comes again after a crash; an
//!   [`Inbox`](crate::inbox::Inbox) in the store that the effect goes to makes up for that.
//! - A [`Follower`] moves the checkpoint in the same atomic batch as the effect: each event has its effect once, one
//!   event after the other.
//!
//! Both pass over events whose type begins with `steadfast.`: they are bookkeeping, and a reader that saw its own
//! checkpoint move would move it again.

mod follower;
pub(crate) mod pump;
mod receiver;
mod sink;
mod source;
mod state;
#[cfg(test)]
mod tests;

pub use follower::Follower;
pub use sink::AppendSink;
pub use source::Tail;

use super::Error;
use crate::Event;
use crate::store;

/// The name that errors and metrics give to this transport.
const SYSTEM: &str = "event_store";

/// Says whether `event` keeps the books of a reader.
fn is_bookkeeping(event: &Event) -> bool {
    event.kind().starts_with("steadfast.")
}

/// Puts an error of the store as a transport says it.
fn transport_error(error: &store::Error) -> Error {
    Error::of_store(SYSTEM, error)
}
