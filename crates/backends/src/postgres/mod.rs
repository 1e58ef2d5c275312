//! PostgreSQL.
//!
//! - [`store`]: an event store.
//! - [`changes`]: changes of its tables as events, by logical replication.
//! - [`outbox`]: events that an application writes to a table in its own transactions.
//! - `pool_health` (feature `postgres-pool`): a pool of connections that are checked while they are idle.
//! - [`view`]: tables that a projection keeps.

pub mod changes;
mod config;
mod connect;
mod error;
pub mod outbox;
#[cfg(feature = "postgres-pool")]
pub mod pool_health;
mod replication;
pub mod store;
mod url;
pub mod view;

pub use config::Config;
/// The driver whose transactions [`Outbox::append`](outbox::Outbox::append) takes, and that a [`view`] changes its tables by.
pub use tokio_postgres;
