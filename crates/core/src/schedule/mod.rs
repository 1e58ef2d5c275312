//! Scheduled commands: an event that is to be delivered at a time, kept in a store until it has been.
//!
//! A [`Schedule`] is a stream of a store. [`Schedule::schedule`] writes a command and its time there;
//! [`Schedule::request`] gives the event to put into the batch of the decision that wants it, so that both stand or
//! neither does. The schedule is also a [`Source`](crate::transport::Source): its receiver hands out each command
//! once it is due, and hands it out again until it is settled as handled, so that redelivery and dead letters are
//! the same as for any other transport.
//!
//! **Invariants.** A command that is in the store is handed out at or after its time, never before, by whatever
//! receiver runs then, also after a crash; what was due while nobody ran is due at once, in the order of the times. A
//! command that was [cancelled](Schedule::cancel) in time is not handed out any more. One receiver at a time serves
//! a schedule: when a second one is opened, in whatever process, the first ends with
//! [`Error::Rejected`](crate::transport::Error::Rejected), and what it had in hand comes again.

mod entry;
mod error;
mod pending;
mod receiver;
mod source;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use source::Schedule;
