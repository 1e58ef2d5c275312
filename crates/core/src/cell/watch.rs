use std::fmt;
use std::sync::Arc;

use super::cell::Shared;
use super::sync::Ordering;
use super::{Closed, Snapshot};

/// Waits for changes of a [`Cell`](super::Cell); made by [`Cell::watch`](super::Cell::watch).
///
/// Of several changes between two calls only the latest is seen, and the last change always is. There may be any
/// number of watches; each keeps the value alive, but not the cell: see [`Closed`].
pub struct Watch<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Watch<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, seen: 0 }
    }

    /// Waits until the cell holds another version than the last that this has given, and returns it; the first call
    /// returns what the cell holds at once.
    ///
    /// # Errors
    /// [`Closed`]: every handle of the cell is gone, and the last version has been given.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call gives the version that this one would have given, or a newer.
    pub async fn changed(&mut self) -> Result<Snapshot<T>, Closed> {
        loop {
            // IMPORTANT: Listen before looking: a change after the look rings, one before it is seen.
            let rung = self.shared.changed.notified();
            let open = self.shared.cells.load(Ordering::Acquire) > 0;
            let current = self.shared.load();
            if current.version() > self.seen {
                self.seen = current.version();
                return Ok(current);
            }
            if !open {
                return Err(Closed);
            }
            drop(current);
            rung.await;
        }
    }

    /// Returns what the cell holds now, without counting it as given.
    pub fn load(&self) -> Snapshot<T> {
        self.shared.load()
    }
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("seen", &self.seen).finish_non_exhaustive()
    }
}
