//! A connection that knows whether it is lost.

use std::fmt;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{Cmd, Pipeline, RedisError, RedisFuture, Value};
use futures::FutureExt;

use crate::redis::error;

/// A connection of a pool; commands run on it as on the driver's own.
pub struct Connection {
    inner: MultiplexedConnection,
    is_lost: bool,
}

impl Connection {
    pub(super) fn new(inner: MultiplexedConnection) -> Self {
        Self { inner, is_lost: false }
    }

    /// Says whether an error on it said that it is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

fn note<T>(is_lost: &mut bool, result: Result<T, RedisError>) -> Result<T, RedisError> {
    if let Err(error) = &result {
        *is_lost |= error::is_connection_lost(error);
    }
    result
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let Self { inner, is_lost } = self;
        async move { note(is_lost, inner.req_packed_command(command).await) }.boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let Self { inner, is_lost } = self;
        async move { note(is_lost, inner.req_packed_commands(commands, offset, count).await) }.boxed()
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_lost", &self.is_lost).finish_non_exhaustive()
    }
}
