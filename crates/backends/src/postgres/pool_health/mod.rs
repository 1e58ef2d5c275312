//! A pool of connections ([`deadpool_postgres`]) that are checked while they are idle, by `SELECT 1`.
//!
//! [`pool`] makes one from a [`Config`](super::Config). Whoever makes a pool himself takes `RecyclingMethod::Fast`, which is the
//! default: the supervisor asks the server, so that no caller has to.
//!
//! # Examples
//! ```no_run
//! use steadfast_backends::postgres::Config;
//! use steadfast_backends::postgres::pool_health::pool;
//! use steadfast_base::Seed;
//! use steadfast_guard::pool_health::{PoolHealth, PoolHealthPolicy};
//! use steadfast_guard::scope::{Scope, ScopePolicy};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scope = Scope::new("shop", ScopePolicy::default());
//! let connections = pool(&Config::default(), 16)?;
//! let health =
//!     PoolHealth::new("shop", connections.clone(), PoolHealthPolicy::default(), Seed::random());
//! let probe = health.probe();
//! drop(scope.spawn_until_closed("pool health", health.run())?);
//!
//! let client = connections.get().await?;
//! client.execute("INSERT INTO cart VALUES (1)", &[]).await?;
//! println!("{:?}", probe.snapshot());
//! # Ok(())
//! # }
//! ```

mod manager;

pub use manager::pool;

use ::deadpool_postgres::Manager;
use tokio_postgres::Error;

use crate::supervised::{Check, Supervised};

/// The pool, with its type of connections.
pub use ::deadpool_postgres;

/// A pool of connections to PostgreSQL that can be supervised.
pub type PostgresPool = Supervised<Manager>;

impl Check for Manager {
    fn is_closed(&self, connection: &Self::Type) -> bool {
        connection.is_closed()
    }

    async fn check(&self, connection: &mut Self::Type) -> Result<(), Error> {
        connection.simple_query("SELECT 1").await.map(drop)
    }
}
