//! What a supervisor needs of a pool.

use std::future::Future;

use super::WaitTimes;

/// A pool of connections that can be supervised.
///
/// A connection that is dropped goes back into the pool; one that [`connect`](Self::connect) opened is closed.
pub trait Pool: Send + Sync {
    /// A connection, borrowed from the pool or opened beside it.
    type Connection: Send;
    /// Why a connection does not work.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns how many connections there are, and who wants them.
    fn status(&self) -> Status;

    /// Borrows a connection that is idle, of several the one that has been idle for longest: then each has its turn. It
    /// neither waits for one that is in use nor opens one.
    ///
    /// A pool may look at a connection before it hands it out, and throw it away; it says how many it did.
    ///
    /// # Cancel safety
    /// A future that is dropped hands out nothing. What it was looking at is not given back: it takes too long.
    fn borrow_idle(&self) -> impl Future<Output = Borrowed<Self::Connection>> + Send;

    /// Asks the server something that costs it little.
    ///
    /// # Errors
    /// [`Self::Error`] when the connection does not work.
    ///
    /// # Cancel safety
    /// The future is dropped when it takes too long; the connection may be given back after that.
    fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Closes a borrowed connection instead of giving it back, so that the pool can open another one.
    fn evict(&self, connection: Self::Connection);

    /// Opens a connection that does not belong to the pool, to know whether the server is well.
    ///
    /// # Errors
    /// [`Self::Error`] when there is none to be had.
    ///
    /// # Cancel safety
    /// The future is dropped when it takes too long; nothing stays open then.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Returns how long callers had to wait for connections; nothing where the pool does not measure it.
    fn wait_times(&self) -> WaitTimes {
        WaitTimes::default()
    }
}

/// How many connections a pool has, and who wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// How many there are.
    pub size: usize,
    /// How many are idle.
    pub idle: usize,
    /// How many are in use, those among them that the supervisor has borrowed. Connections that callers share are not
    /// in use by any of them.
    pub in_use: usize,
    /// How many callers wait for one.
    pub waiting: usize,
    /// Whether the pool is closed, which ends its supervision.
    pub is_closed: bool,
}

impl Status {
    /// Says whether callers can do without one more connection when `held` are held here already.
    pub(super) fn can_spare(self, held: usize) -> bool {
        let used_by_others = self.in_use.saturating_sub(held);
        let is_spare = self.idle > 1 || (self.idle == 1 && used_by_others == 0 && held == 0);
        self.waiting == 0 && is_spare && held < self.size
    }

    /// Says whether callers want what is idle when `held` are held here already.
    pub(super) fn is_wanted(self, held: usize) -> bool {
        self.waiting > 0 || (self.idle > 0 && self.in_use > held)
    }

    /// Says whether callers miss one of the `held` connections, the last of which was just borrowed.
    pub(super) fn is_missed(self, held: usize) -> bool {
        let used_by_others = self.in_use.saturating_sub(held);
        self.waiting > 0 || (self.idle == 0 && (used_by_others > 0 || held > 1))
    }
}

/// What came of borrowing an idle connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Borrowed<C> {
    /// The connection, if one was idle.
    pub connection: Option<C>,
    /// How many the pool threw away before it found this one, for it saw that they were dead.
    pub discarded: usize,
}

impl<C> Borrowed<C> {
    /// Creates what came of it.
    pub fn new(connection: Option<C>, discarded: usize) -> Self {
        Self { connection, discarded }
    }
}
