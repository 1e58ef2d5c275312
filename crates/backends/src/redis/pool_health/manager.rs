//! Pools from a configuration.

use std::fmt;

use ::deadpool::Runtime;
use ::deadpool::managed::{self, Metrics, Pool, RecycleError, RecycleResult};
use ::redis::{AsyncConnectionConfig, Client, RedisError};
use steadfast_core::transport::Error;

use super::{Connection, RedisPool};
use crate::redis::client::client;
use crate::redis::{Config, SYSTEM};
use crate::supervised::Check;

/// Opens connections for a pool.
pub struct Manager {
    client: Client,
    settings: AsyncConnectionConfig,
}

/// Creates a pool of at most `size_max` connections (1 or more; 0 counts as 1), which are opened as callers need them.
/// Of `config` it takes what says where the server is and who asks.
///
/// A caller waits for a connection as long as it likes: it has a deadline of its own. Opening one takes at most
/// [`Config::answer_within`], and so does each answer.
///
/// # Errors
/// [`Error::Configuration`] when the address or the certificates of `config` cannot be used.
pub fn pool(config: &Config, size_max: usize) -> Result<RedisPool, Error> {
    let within = Some(config.answer_within.0);
    let settings = AsyncConnectionConfig::new().set_connection_timeout(within).set_response_timeout(within);
    let pool = Pool::builder(Manager { client: client(config)?, settings })
        .max_size(size_max.max(1))
        .runtime(Runtime::Tokio1)
        .create_timeout(within)
        .build();
    let wrong = |error| Error::Configuration { system: SYSTEM, field: "pool", problem: format!("{error}") };
    Ok(RedisPool::new(pool.map_err(wrong)?))
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = RedisError;

    async fn create(&self) -> Result<Connection, RedisError> {
        let connecting = self.client.get_multiplexed_async_connection_with_config(&self.settings);
        connecting.await.map(Connection::new)
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<RedisError> {
        if connection.is_lost() { Err(RecycleError::message("the connection is lost")) } else { Ok(()) }
    }
}

impl Check for Manager {
    fn is_closed(&self, connection: &Connection) -> bool {
        connection.is_lost()
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), RedisError> {
        ::redis::cmd("PING").query_async(connection).await
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}
