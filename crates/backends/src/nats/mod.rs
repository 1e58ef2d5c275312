//! NATS JetStream, NATS 2.10 or later: here a transport, in [`store`] an event store.
//!
//! # How events lie there
//! One stream, `STREAM`, with the subjects `STREAM.0`, `STREAM.1` and so on, one per shard: the partition key of an
//! event decides which. A message has the headers `ce-NAME` of each attribute, and the data as its payload. A message
//! that is no event is put aside on the subject `STREAM.refused` and acknowledged, so that it blocks nothing; where the
//! stream needs room, a tenth of it is left to those.
//!
//! # Order and groups
//! A group has one durable pull consumer for each shard, and a shard belongs to one receiver of the group at a time: a
//! document in the key-value bucket `STREAM-groups`, changed by compare-and-set, says to which. Receivers share the
//! shards fairly, and share them anew when one comes or goes; a shard moves once nothing of it is in flight.
//!
//! JetStream gives a message again when its receiver was silent, and later ones meanwhile, which would break the order
//! of keys. So a receiver counts the deliveries of each consumer. When it gets a shard, after it lost its connection,
//! and where a delivery is missing, it hands nothing out until every message that anybody was given is acknowledged or
//! here. So events of one key are received in order, whatever dies; with one shard, all events.
//!
//! A receiver that is closed gives everything back at once; one that dies is waited for for [`Config::lease`]. A message
//! that the server sends in the very moment in which a shard moves is waited for as long.
//!
//! # Durability
//! The server acknowledges when it has written ([`Durability::Written`](steadfast_core::store::Durability::Written)),
//! or, with `sync_interval: always`, when it has synced
//! ([`Durability::Durable`](steadfast_core::store::Durability::Durable)): see [`SyncInterval`]. A message that is sent again
//! within [`Config::remember_ids`] is stored once, so sending again after an error makes no duplicates.
//!
//! # Back-pressure
//! The stream holds [`Config::length_max`] events. What every group has handled is deleted when room is needed; where
//! that frees nothing, sending waits. A stream that no group has subscribed to keeps all that it holds; one with a group that
//! nobody receives for any more is full for good, until its consumers `GROUP-0`, `GROUP-1` and so on are deleted.
//!
//! Events of one shard are sent one after the other, each when that before it is acknowledged: a lost connection must
//! not lose one and keep the next. More shards send more at the same time.

mod config;
mod connector;
mod error;
mod keeper;
mod message;
mod place;
mod puller;
mod receiver;
mod roll;
mod shared;
mod sink;
mod source;
pub mod store;
mod url;

pub use config::Config;
pub use config::SyncInterval;
pub use config::WhenFull;
pub use sink::NatsSink;
pub use source::NatsSource;

/// The name by which OpenTelemetry knows it.
const SYSTEM: &str = "nats";
