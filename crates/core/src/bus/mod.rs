//! The bus: typed topics inside one process, with bounded queues, redelivery and an orderly end.
//!
//! A [`Bus`] owns its [`Topic`]s. Whoever publishes waits while the queue of any subscriber is full
//! (back-pressure), and a message reaches all subscribers or, if the publisher gives up, none. All subscribers of a
//! topic see its messages in the same order. Payloads are cloned for each subscriber: give large ones as `Arc<T>`.
//!
//! A subscriber takes messages by hand ([`Subscription::next`]), or gives a handler ([`Subscription::run`]): a
//! [`tower::Service`] of [`Delivery`], hence also an async function by way of [`tower::service_fn`]. A handler that
//! returns an error, panics, takes too long or is dropped has failed; it gets the same message again after a
//! back-off, and when that does not help the message becomes a [`DeadLetter`].
//!
//! **Invariants.** The bus starts no task: what runs is owned by whoever awaits it, so dropping the bus leaks
//! nothing. A message that entered a queue is counted in the end: delivered, dead or abandoned. A handler that
//! publishes to the topic it handles can wait for itself: give such a topic room, or use
//! [`Topic::publish_within`].
//!
//! # Examples
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//! use steadfast_base::Deadline;
//! use steadfast_core::bus::{Bus, Delivery};
//! use tower::service_fn;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::bus::Error> {
//! let bus = Bus::new();
//! let topic = bus.topic::<String>("orders")?;
//! let mut subscription = topic.subscribe("printer", 16)?;
//! let printer = tokio::spawn(async move {
//!     let handler = service_fn(|delivery: Delivery<String>| async move {
//!         assert_eq!(delivery.payload(), "order 1");
//!         Ok::<_, Infallible>(())
//!     });
//!     subscription.run(handler).await;
//! });
//!
//! topic.publish("order 1".to_owned()).await?;
//! let drained = bus.close(Deadline::within(Duration::from_secs(1))).await;
//! assert_eq!((drained.delivered, drained.abandoned), (1, 0));
//! printer.await.expect("the printer ends with the bus");
//! # Ok(()) }
//! ```

mod error;
mod metrics;
mod owner;
mod subscription;
#[cfg(test)]
mod tests;
mod topic;

pub use crate::delivery::DeadLetter;
pub use crate::delivery::Delivery;
pub use crate::delivery::Message;
pub use crate::delivery::Redelivery;
pub use error::Error;
pub use metrics::SubscriptionMetrics;
pub use metrics::TopicMetrics;
pub use owner::Bus;
pub use owner::Drained;
pub use subscription::Subscription;
pub use topic::Topic;
