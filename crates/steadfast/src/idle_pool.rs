//! A pool of connections for tests.

use std::convert::Infallible;

use steadfast_guard::pool_health::{Borrowed, Pool, Status};

/// A pool of two idle connections that answer.
pub(crate) struct Idle;

impl Pool for Idle {
    type Connection = ();
    type Error = Infallible;

    fn status(&self) -> Status {
        Status { size: 2, idle: 2, ..Status::default() }
    }

    async fn borrow_idle(&self) -> Borrowed<()> {
        Borrowed::new(Some(()), 0)
    }

    async fn check(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }

    fn evict(&self, (): ()) {}

    async fn connect(&self) -> Result<(), Infallible> {
        Ok(())
    }
}
