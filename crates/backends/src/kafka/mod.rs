//! Apache Kafka 4: a topic as a [`Source`](steadfast_core::transport::Source) and a
//! [`Sink`](steadfast_core::transport::Sink) of events.
//!
//! Events travel by the [Kafka binding of CloudEvents] in binary mode: attributes are headers `ce_NAME`, the data is
//! the value, and the [partition key](steadfast_core::Event::partition_key) is the key, so that Kafka's usual
//! partitioner keeps the events of one key in one partition and in order. Records in structured mode are read too;
//! one that is no CloudEvent becomes an event of type [`FOREIGN_KIND`], so that nothing is passed over in silence. An
//! event whose record has another key than its own gets that as its partition key, for Kafka keeps order by it.
//!
//! - **Sending** is by an idempotent producer with `acks=all`: what it tries again by itself is stored once. An event
//!   whose deadline has passed stays in its queue (32 MiB) and may arrive later, before those that are sent after it.
//! - **Durability** is [`Written`](steadfast_core::store::Durability::Written), for brokers answer before they sync;
//!   [`Replicated`](steadfast_core::store::Durability::Replicated) where the topic's `min.insync.replicas` is 2 or
//!   more, which is configured ([`Config::replicas_min`]) and checked. That is Kafka's own meaning of it: several
//!   machines have it, but not yet on their disks; it is lost if all of them lose power at once.
//! - **Receiving** is by consumer groups of the kind that the broker assigns (KIP-848), so that a change in a group
//!   moves only the partitions that it must. An offset is committed once every event before it is handled: what was
//!   handled beyond a gap comes again if the receiver dies.
//! - **A partition that moves** is handed out from no more; it goes once its events are settled, or after
//!   [`Config::hand_over_within`]. Members hear of it with the heartbeat that the broker asks for, every 5 s by default
//!   (`group.consumer.heartbeat.interval.ms`), so a group takes seconds to share its work anew.
//! - **What is not there any more** cannot be received: where retention has removed events that a group had not
//!   handled, it goes on at the oldest that is left, which the log tells as a warning. Brokers forget a group that had
//!   no member for `offsets.retention.minutes` (7 days): it begins as a new one would, and with
//!   [`Start::New`](steadfast_core::transport::Start::New) misses what came meanwhile.
//! - **Records that cannot be decoded**, such as ones with a wrong checksum, are an error of receiving that names them: it
//!   does not go on before somebody moves the group's offset.
//! - **An event that is held for ever** stops its partition, and with it the receiver, once 65,536 later ones are
//!   handled: they could not be committed.
//! - **Released events** are handed out again by the receiver itself, each only once no earlier event of its key is
//!   still in flight. A broker cannot count that for a group, so `redeliveries` starts anew with each receiver.
//!
//! [Kafka binding of CloudEvents]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
//!
//! # Examples
//! ```no_run
//! use std::time::Duration;
//! use steadfast_backends::kafka::{Config, KafkaSink, KafkaSource};
//! use steadfast_base::Deadline;
//! use steadfast_core::Event;
//! use steadfast_core::store::Durability;
//! use steadfast_core::transport::{Outcome, Settlement, Sink, Source, Subscribe};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config: Config = serde_json::from_str(r#"{"brokers": ["127.0.0.1:9092"], "topic": "orders"}"#)?;
//! let sink = KafkaSink::new(config.clone())?;
//! let event = Event::new("/orders", "order.created").subject("order-1").build();
//! sink.send(&[event], Durability::Written, Deadline::within(Duration::from_secs(5))).await?;
//!
//! let receiver = KafkaSource::new(config)?.open(&Subscribe::new("shipping")).await?;
//! for received in receiver.receive(10).await? {
//!     receiver.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod config;
mod connection;
mod driver;
mod error;
mod holdings;
mod listener;
mod receiver;
mod record;
mod sink;
mod source;
mod start;
mod watch;

pub use config::Config;
pub use config::Create;
pub use config::Mechanism;
pub use config::Sasl;
pub use record::FOREIGN_KIND;
pub use sink::KafkaSink;
pub use source::KafkaSource;

/// The system's name in errors and spans.
const SYSTEM: &str = "kafka";
