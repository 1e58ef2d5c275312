//! The pool.

use std::fmt;
use std::time::Duration;

use ::deadpool::managed::{Object, Pool, PoolError, Timeouts};
use steadfast_guard::pool_health::{self, Borrowed, Status, WaitTimes, Waits};
use tokio::time::Instant;

use super::{Check, Connection};

/// A pool that can be supervised. Clones share it.
pub struct Supervised<M: Check> {
    pool: Pool<M>,
    waits: Waits,
}

impl<M: Check> Supervised<M> {
    /// Creates it around `pool`, which others may use too.
    pub fn new(pool: Pool<M>) -> Self {
        Self { pool, waits: Waits::default() }
    }

    /// Waits for a connection, for as long as the pool's timeouts say, and measures how long that takes.
    ///
    /// # Errors
    /// [`PoolError`] when there is none to be had.
    ///
    /// # Cancel safety
    /// A call that is dropped takes no connection. Its wait counts all the same.
    pub async fn get(&self) -> Result<Object<M>, PoolError<M::Error>> {
        let _waiting = Waiting { since: Instant::now(), waits: &self.waits };
        self.pool.get().await
    }

    /// Returns the pool itself, whose waits are not measured.
    pub fn pool(&self) -> &Pool<M> {
        &self.pool
    }
}

/// Counts a wait, however it ends.
struct Waiting<'a> {
    since: Instant,
    waits: &'a Waits,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.record(self.since.elapsed());
    }
}

impl<M: Check> pool_health::Pool for Supervised<M> {
    type Connection = Connection<M>;
    type Error = M::Error;

    fn status(&self) -> Status {
        let status = self.pool.status();
        Status {
            size: status.size,
            idle: status.available,
            in_use: status.size - status.available.min(status.size),
            waiting: status.waiting,
            is_closed: self.pool.is_closed(),
        }
    }

    async fn borrow_idle(&self) -> Borrowed<Connection<M>> {
        let manager = self.pool.manager();
        let discarded = self.pool.retain(|connection, _| !manager.is_closed(connection)).removed.len();
        // No time to wait and none to open one: only what is idle comes.
        let timeouts = Timeouts { wait: Some(Duration::ZERO), create: Some(Duration::ZERO), recycle: None };
        let object = match self.pool.status().available {
            0 => None,
            _ => self.pool.timeout_get(&timeouts).await.ok(),
        };
        Borrowed::new(object.map(Connection::borrowed), discarded)
    }

    async fn check(&self, connection: &mut Connection<M>) -> Result<(), M::Error> {
        self.pool.manager().check(connection.inner()).await
    }

    fn evict(&self, connection: Connection<M>) {
        connection.close();
    }

    async fn connect(&self) -> Result<Connection<M>, M::Error> {
        let connection = self.pool.manager().create().await?;
        Ok(Connection::beside(connection, self.pool.clone()))
    }

    fn wait_times(&self) -> WaitTimes {
        self.waits.times()
    }
}

impl<M: Check> Clone for Supervised<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), waits: self.waits.clone() }
    }
}

impl<M: Check> fmt::Debug for Supervised<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised").field("status", &self.pool.status()).finish_non_exhaustive()
    }
}
