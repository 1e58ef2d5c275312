//! Transports: where events come from and where they go, whatever carries them between.
//!
//! A [`Source`] opens [`Receiver`]s, a [`Sink`] sends. Both say what they can do ([`Capabilities`]); drivers of
//! outside systems implement them in `steadfast-backends`, and every driver passes one conformance suite
//! (`testing::transport`, feature `testing`).
//!
//! **Invariants**, which the suite checks on every transport:
//! - An event is acknowledged to the transport only after it was settled as [`Outcome::Handled`]; one that was
//!   [released](Outcome::Released), or whose receiver died, is received again by some receiver of its group.
//! - Events of one [partition key](crate::Event::partition_key) that one sink sent are received in the order in
//!   which they were sent, where [`Capabilities::order`] says so; events that are received again keep that order
//!   among themselves.
//! - A receiver holds at most [`Subscribe::in_flight_max`] events that are not settled: the rest stays with the
//!   transport, so that back-pressure reaches the sender.
//! - A lost connection is made again with back-off and is visible in [`Receiver::link`]; it never ends a receiver
//!   and loses nothing.
//! - A handler never sees how an event is acknowledged: [`Receiver::settle`] is called by whoever runs handlers.

mod capabilities;
mod consumer;
mod error;
mod event;
mod link;
pub mod memory;
mod receiver;
mod sink;
mod source;
pub mod tail;
mod watermark;

pub use capabilities::Capabilities;
pub use capabilities::Ordering;
pub use consumer::Consumer;
pub use consumer::Report;
pub use error::Error;
pub use link::Link;
pub use link::LinkState;
pub use link::link;
pub use receiver::Outcome;
pub use receiver::Received;
pub use receiver::Receiver;
pub use receiver::Settlement;
pub use receiver::Token;
pub use sink::Sink;
pub use source::Source;
pub use source::Start;
pub use source::Subscribe;
pub use watermark::Watermark;
