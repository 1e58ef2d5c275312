use std::fmt;
use std::sync::Arc;

use super::snapshot::Versioned;
use super::sync::{AtomicUsize, Mutex, Notify, Ordering, Slot};
use super::{Snapshot, Watch};

/// A value that many read and few change; reading takes no lock and waits for nobody.
///
/// Readers get a [`Snapshot`]: the whole value as it was at one moment, with its version. Changes put a new value in
/// the place of the old one. A clone is another handle to the same cell. See the [module](mod@crate::cell) for when
/// to use it.
///
/// # Examples
/// ```
/// use steadfast_core::Cell;
///
/// #[derive(Clone, PartialEq)]
/// struct Limits { rate: u32, burst: u32 }
///
/// let limits = Cell::new(Limits { rate: 100, burst: 10 });
/// assert!(!limits.set(Limits { rate: 100, burst: 10 }), "nothing changed");
///
/// let seen = limits.load();
/// let version = limits.compare_and_swap(seen.version(), Limits { rate: 200, ..*seen });
/// assert_eq!(version.ok(), Some(2));
///
/// // Whoever decides by what is no longer the case is told, with what is.
/// let now = limits.compare_and_swap(seen.version(), Limits { rate: 50, ..*seen }).unwrap_err();
/// assert_eq!((now.rate, now.version()), (200, 2));
///
/// limits.update(|limits| Limits { burst: limits.burst + 1, ..*limits });
/// assert_eq!(limits.load().burst, 11);
/// ```
pub struct Cell<T> {
    shared: Arc<Shared<T>>,
}

pub(super) struct Shared<T> {
    pub(super) slot: Slot<Versioned<T>>,
    /// Held while a value is put in place of another, and never while code of others runs.
    writing: Mutex<()>,
    pub(super) changed: Notify,
    /// How many handles can still change it.
    pub(super) cells: AtomicUsize,
}

impl<T> Cell<T> {
    /// Creates a cell that holds `value`, with version 1.
    pub fn new(value: T) -> Self {
        let shared = Shared {
            slot: Slot::new(Arc::new(Versioned { version: 1, value })),
            writing: Mutex::new(()),
            changed: Notify::new(),
            cells: AtomicUsize::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns what the cell holds now.
    pub fn load(&self) -> Snapshot<T> {
        self.shared.load()
    }

    /// Puts `value` in place of what the cell holds, unless they are equal, and returns whether anything changed.
    pub fn set(&self, value: T) -> bool
    where
        T: PartialEq,
    {
        let mut value = value;
        loop {
            let current = self.load();
            if *current == value {
                return false;
            }
            match self.shared.publish(Some(current.version()), value) {
                Ok(_) => return true,
                Err(unpublished) => value = unpublished,
            }
        }
    }

    /// Puts `value` in place of whatever the cell holds, and returns its version.
    pub fn replace(&self, value: T) -> u64 {
        self.shared.publish(None, value).unwrap_or_else(|_| unreachable!("it asks for no version"))
    }

    /// Puts `value` in place of the one with `version`, and returns the new one's version.
    ///
    /// # Errors
    /// The cell holds another version, which is returned; `value` is dropped.
    pub fn compare_and_swap(&self, version: u64, value: T) -> Result<u64, Snapshot<T>> {
        self.shared.publish(Some(version), value).map_err(|_| self.load())
    }

    /// Puts what `change` makes of the value in its place, and returns the new version. `change` is called again when
    /// another change came first.
    pub fn update(&self, mut change: impl FnMut(&T) -> T) -> u64 {
        loop {
            let current = self.load();
            if let Ok(version) = self.shared.publish(Some(current.version()), change(&current)) {
                return version;
            }
        }
    }

    /// Returns something that waits for changes. It gives what the cell holds now first, so that none is missed
    /// between a look and the wait.
    ///
    /// # Examples
    /// ```
    /// use steadfast_core::cell::{Cell, Closed};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Closed> {
    /// let level = Cell::new("info");
    /// let mut watch = level.watch();
    /// assert_eq!(*watch.changed().await?, "info");
    ///
    /// level.set("debug");
    /// level.set("warn");
    /// assert_eq!(*watch.changed().await?, "warn"); // the latest
    ///
    /// drop(level);
    /// assert_eq!(watch.changed().await.unwrap_err(), Closed);
    /// # Ok(()) }
    /// ```
    pub fn watch(&self) -> Watch<T> {
        Watch::new(Arc::clone(&self.shared))
    }
}

impl<T> Shared<T> {
    pub(super) fn load(&self) -> Snapshot<T> {
        Snapshot::new(self.slot.load())
    }

    /// Puts `value` in place if the cell holds the version `expected`, or whatever it holds; gives it back if not.
    fn publish(&self, expected: Option<u64>, value: T) -> Result<u64, T> {
        let writing = self.writing.lock();
        let current = self.slot.load().version;
        if expected.is_some_and(|expected| expected != current) {
            return Err(value);
        }
        let version = current + 1;
        let old = self.slot.swap(Arc::new(Versioned { version, value }));
        drop(writing);
        // IMPORTANT: After the value is in place. Whoever looked before it was has begun to listen before they looked.
        self.changed.notify_waiters();
        drop(old);
        Ok(version)
    }
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        self.shared.cells.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        if self.shared.cells.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.changed.notify_waiters();
        }
    }
}

impl<T: Default> Default for Cell<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.load();
        f.debug_struct("Cell").field("version", &now.version()).field("value", &*now).finish()
    }
}
