//! Shipping notices: when an order has been shipped, its customer is told once.
//!
//! A durable subscription on the log feeds them, so that no request waits for a notice and none is forgotten: in this
//! process by the tail of the log itself, or through a broker that the command line names. Then an outbox sends what
//! the log has committed, and a consumer receives it; either may be away for as long as it likes. A notice is written
//! to the log together with the mark of the event that it answers, so that an event which comes again notifies nobody
//! twice.

mod notify;
mod service;
#[cfg(test)]
mod tests;
mod transport;

pub use service::Notices;
pub use transport::Transport;
