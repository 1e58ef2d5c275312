//! Pools of [`deadpool`] whose connections are supervised by [`steadfast_guard::pool_health`].
//!
//! A driver says how its connections are checked by [`Check`]; all else is here. The pool hands out the connection that
//! has been idle for longest (`QueueMode::Fifo`, deadpool's default), so that each is checked in its turn; with
//! `QueueMode::Lifo` those at the bottom never are. Its own look at a connection before handing it out is to be one
//! without a round trip, for a supervisor bounds and judges only its own checks.

mod connection;
mod pool;

pub use connection::Connection;
pub use pool::Supervised;

use std::error::Error;
use std::future::Future;

use ::deadpool::managed::Manager;

/// How connections of a driver are checked.
pub trait Check: Manager<Type: Send, Error: Error + Send + Sync + 'static> + Sized + 'static {
    /// Says whether it is known without asking that a connection is of no use any more.
    fn is_closed(&self, connection: &Self::Type) -> bool;

    /// Asks the server something that costs it little.
    ///
    /// # Errors
    /// That of the driver, when the connection does not work.
    ///
    /// # Cancel safety
    /// The connection can be used again after the future was dropped.
    fn check(&self, connection: &mut Self::Type) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
