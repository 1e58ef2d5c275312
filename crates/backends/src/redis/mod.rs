//! Redis Streams, Redis 6.2 or later: a transport, of which this page tells, and an event [store]. `pool_health` (feature
//! `redis-pool`) is a pool of connections that are checked while they are idle, `limiter` (feature `redis-limit`) a rate
//! limit that processes share.
//!
//! # How events lie there
//! A stream has no partitions, so the keys are spread over [`Config::shards`] streams, `STREAM:0`, `STREAM:1` and so
//! on (`STREAM` itself if there is one). An entry has the fields `ce_NAME` of each attribute and `data`. An entry that
//! is no event is put aside into the stream `STREAM:refused` and acknowledged, so that it blocks nothing; where that is
//! not possible, it stays pending and is tried again when the shard moves.
//!
//! # Order and groups
//! A shard belongs to one receiver of a group at a time: a lease in Redis says to which. Receivers share the shards
//! fairly, and share them anew when one comes or goes; a shard moves once nothing of it is in flight. Asking who owns a
//! shard and reading from it is one step within Redis, so a receiver that was paused beyond its lease takes nothing
//! from the next owner. The next owner first claims, in order, what was handed out and not acknowledged, and reads on
//! after that. So events of one key are received in order, whatever dies; with one shard, all events.
//!
//! A receiver that is closed gives its shards back at once; one that dies is waited for for [`Config::lease`]. Receivers
//! watch each other by their own clocks, so a server whose clock is set makes nobody dead.
//!
//! # Durability
//! Sending promises [`Durability::Accepted`](steadfast_core::store::Durability::Accepted), unless the server is known
//! to sync: see [`Persistence`]. A group's progress is as durable as the events: after losing some of it, events are
//! received again. Where more is promised, a server that was started writes its file anew before it is used, for a crash
//! may have cut it (`BGREWRITEAOF`; see the [store], which needs the same).
//!
//! # Back-pressure
//! A shard holds [`Config::length_max`] events. What every group has handled is deleted when room is needed; where that
//! frees nothing, sending waits. A shard that no group has subscribed to keeps all that it holds; one with a group that
//! nobody receives for any more is full for good, until the group is deleted (`XGROUP DESTROY STREAM:0 GROUP`, and so on
//! for each shard).
//!
//! The server needs memory for what the shards hold, and `maxmemory-policy noeviction`: with another one it may delete
//! events (with [`Persistence::AppendFsyncAlways`] that is checked). A server without memory gives no leases either, so
//! that receivers stop until it has some.

mod client;
mod config;
mod connector;
mod entry;
mod error;
mod group;
#[cfg(feature = "redis-limit")]
pub mod limiter;
mod names;
#[cfg(feature = "redis-pool")]
pub mod pool_health;
mod reader;
mod receiver;
mod script;
mod server;
mod sink;
mod source;
pub mod store;
mod sync;
mod torn;
mod url;

pub use config::Config;
pub use config::Persistence;
pub use config::WhenFull;
pub use sink::RedisSink;
pub use source::RedisSource;

/// The name by which OpenTelemetry knows it.
const SYSTEM: &str = "redis";
