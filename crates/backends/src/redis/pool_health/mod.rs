//! A pool of connections that are checked while they are idle, by `PING`.
//!
//! The pool is one of [`deadpool`], with a [`Manager`] of its own: before a connection is handed out it
//! asks the server nothing, for the supervisor does. A connection on which an error said that it is lost is not handed
//! out again.
//!
//! # Examples
//! ```no_run
//! use redis::AsyncCommands;
//! use steadfast_backends::redis::Config;
//! use steadfast_backends::redis::pool_health::pool;
//! use steadfast_base::Seed;
//! use steadfast_guard::pool_health::{PoolHealth, PoolHealthPolicy};
//! use steadfast_guard::scope::{Scope, ScopePolicy};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scope = Scope::new("shop", ScopePolicy::default());
//! let connections = pool(&Config::default(), 8)?;
//! let health =
//!     PoolHealth::new("cache", connections.clone(), PoolHealthPolicy::default(), Seed::random());
//! drop(scope.spawn_until_closed("pool health", health.run())?);
//!
//! let mut connection = connections.get().await?;
//! let _: () = connection.set("greeting", "hello").await?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod manager;

pub use connection::Connection;
pub use manager::Manager;
pub use manager::pool;

use crate::supervised::Supervised;

/// A pool of connections to Redis that can be supervised.
pub type RedisPool = Supervised<Manager>;
