//! A transport within one process: the in-process default, and what drivers of outside systems are compared with.
//!
//! A [`Broker`] holds topics; each topic hands every event to each of its groups, and within a group to one
//! receiver. It keeps order per key, shares keys between the receivers of a group (a key stays with a receiver
//! while events of it are in flight there), and forgets everything with the process: its durability is
//! [`Accepted`](crate::store::Durability::Accepted).
//!
//! ```
//! use std::time::Duration;
//! use steadfast_base::Deadline;
//! use steadfast_core::Event;
//! use steadfast_core::store::Durability;
//! use steadfast_core::transport::{Outcome, Settlement, Subscribe, memory};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::transport::Error> {
//! let broker = memory::Broker::new(memory::Config::default());
//! let receiver = broker.source("orders").open(&Subscribe::new("shipping")).await?;
//!
//! let event = Event::new("/orders", "order.created").subject("order-1").build();
//! let deadline = Deadline::within(Duration::from_secs(1));
//! broker.sink("orders").send(&[event], Durability::Accepted, deadline).await?;
//!
//! let received = receiver.receive(10).await?;
//! let handled = Settlement { token: received[0].token, outcome: Outcome::Handled };
//! receiver.settle(&[handled]).await?;
//! # Ok(()) }
//! ```

mod broker;
mod group;
mod receiver;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod topic;

pub use broker::Broker;
pub use broker::Config;
