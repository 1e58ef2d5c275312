//! PostgreSQL.
//!
//! - [`changes`]: changes of its tables as events, by logical replication.

pub mod changes;
mod config;
mod connect;
mod error;

pub use config::Config;
pub use config::Password;
pub use config::Tls;
