//! Real servers for tests and benchmarks: each starts on a free loopback port, keeps its data in a temporary
//! folder, can be killed with SIGKILL and started again on the same port and data, and ends with its owner.
//!
//! The programs are those of the system, or what `cargo xtask test` has obtained; where one is missing, the error
//! says how to get it. Nothing here talks to a server beyond asking whether it is ready: the drivers under test do.
//!
//! Everything blocks: start servers before the runtime, or within `tokio::task::spawn_blocking`.

mod error;
mod kafka;
mod locate;
mod nats;
mod port;
#[cfg(unix)]
mod postgres;
#[cfg(target_os = "linux")]
pub mod power;
mod redis;
mod server;
mod spawn;

pub use error::Error;
pub use kafka::Kafka;
pub use locate::locate;
pub use nats::Nats;
pub use nats::NatsSettings;
#[cfg(unix)]
pub use postgres::Postgres;
pub use redis::Redis;
pub use redis::RedisProgram;
pub use server::Launch;
pub use server::Server;
