use std::sync::Arc;

use futures::future::BoxFuture;

use crate::store::EventStore;

/// Opens the store under test. Each case gets a factory of its own.
pub trait StoreFactory: Send {
    /// Opens a new, empty store; called once, first.
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>>;

    /// Opens the store again after it has been closed, with what it kept. None if it keeps nothing.
    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        None
    }

    /// Ends the running store as `crash` says, appends being under way, and opens what is left. None if such a
    /// crash cannot be simulated.
    ///
    /// The crash happens within the call, at once, and from that moment on nothing that the old store does may reach the
    /// medium: its I/O fails. The future, which opens what is left, is awaited once the old store has been dropped.
    fn crash(&mut self, crash: Crash) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        let _ = crash;
        None
    }
}

/// How a store ends without being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Crash {
    /// The process dies: what it gave to the operating system stays.
    Process,
    /// Power is lost: what was not synced is gone, in part or in whole.
    Power,
}
