//! Event stores, transports and adapters, one folder per outside system and one feature each.
//!
//! - `file` (default): [`file::FileLog`], an event store in a folder.
//! - `grpc`: `grpc::Channels`, channels to a gRPC server that are checked.
//! - `http`: `http::Intake`, `http::HttpSource`, `http::HttpSink`, events that are posted to us and by us.
//! - `kafka`: `kafka::KafkaSource`, `kafka::KafkaSink`, topics of Apache Kafka 4.
//! - `nats`: `nats::NatsSource`, `nats::NatsSink`, streams of NATS JetStream; `nats::store`, an event store.
//! - `postgres`: `postgres::store`, an event store; `postgres::changes`, changes of tables as events, by logical replication; `postgres::outbox`, a
//!   table that an application writes events to. `postgres-pool`: `postgres::pool_health`, a supervised pool.
//! - `redis`: `redis::store`, an event store; `redis::RedisSource`, `redis::RedisSink`, Redis Streams.
//!   `redis-limit`: `redis::limiter`, a rate limit that processes share. `redis-pool`: `redis::pool_health`, a supervised
//!   pool.
//! - `sqlite`: `sqlite::store`, an event store; `sqlite::changes`, changes of tables as events.
//! - `timer`: `timer::TimerSource`, ticks as events.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod change;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod chunks;
#[cfg(any(feature = "nats", feature = "sqlite", feature = "postgres", feature = "redis"))]
mod epoch;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod migrations;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
mod secret;
#[cfg(any(feature = "http", feature = "nats", feature = "redis"))]
mod sharded;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres-pool", feature = "redis-pool"))]
pub mod supervised;
#[cfg(feature = "timer")]
pub mod timer;
mod tls;
#[cfg(any(feature = "nats", feature = "postgres", feature = "redis"))]
mod url;

pub use secret::Secret;
pub use tls::Tls;
