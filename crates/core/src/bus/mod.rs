//! The bus: typed topics inside one process, with bounded queues, redelivery and an orderly end.
//!
//! A [`Bus`] owns its [`Topic`]s. A message reaches all who want it or, if the publisher gives up, nobody, and all
//! see the messages of a topic in the same order. Each subscription has its own bounded queue, and [`Options`] say
//! what happens when it is full ([`Overflow`]: by default whoever publishes waits), which messages enter it, and
//! which are urgent. Payloads are cloned for each subscriber but the last: give large ones as `Arc<T>`.
//!
//! A subscriber takes messages by hand ([`Subscription::next`]), or gives a handler ([`Subscription::run`]): a
//! [`tower::Service`] of [`Delivery`], hence also an async function by way of [`tower::service_fn`]. A handler that
//! returns an error, panics, takes too long or is dropped has failed; it gets the same message again after a
//! back-off, and when that does not help the message becomes a dead letter
//! ([`Subscription::handling`]). Several handles may compete for the
//! messages of one subscription ([`Subscription::competitor`]), and one subscription may take from several topics
//! ([`Select`]).
//!
//! A subscriber that is slow fills its own queue and no other. If that queue makes publishers wait, those who
//! publish to the topic wait for it; a subscriber that must not be waited for takes another [`Overflow`].
//!
//! **Invariants.** The bus starts no task: what runs is owned by whoever awaits it, so dropping the bus leaks
//! nothing. A message that entered a queue is counted in the end: handled, dead, parked, dropped or abandoned. A
//! handler that publishes to the topic it handles can wait for itself: give such a topic room, or use
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
//! assert_eq!((drained.handled, drained.abandoned), (1, 0));
//! printer.await.expect("the printer ends with the bus");
//! # Ok(()) }
//! ```

mod error;
mod feed;
mod filter;
mod hub;
mod metrics;
mod options;
mod overflow;
mod owner;
mod select;
mod subscription;
#[cfg(all(test, not(loom)))]
mod tests;
mod topic;
mod trace;

pub use crate::delivery::Delivery;
pub use crate::delivery::Message;
pub use error::Error;
pub use filter::Filter;
pub use metrics::SubscriptionMetrics;
pub use metrics::TopicMetrics;
pub use options::Options;
pub use overflow::Overflow;
pub use owner::Bus;
pub use owner::Drained;
pub use select::Select;
pub use subscription::Subscription;
pub use topic::Topic;
