use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::sync::Guard;

/// A value with the number of changes that led to it.
pub(super) struct Versioned<T> {
    pub(super) version: u64,
    pub(super) value: T,
}

/// What a [`Cell`](super::Cell) held at one moment; it never changes.
///
/// It is meant for a moment: each thread has a few cheap ones (8) before a load costs about twice as much. What is
/// kept for long, [`keep`](Self::keep) detaches.
pub struct Snapshot<T> {
    inner: Guard<Arc<Versioned<T>>>,
}

impl<T> Snapshot<T> {
    pub(super) fn new(inner: Guard<Arc<Versioned<T>>>) -> Self {
        Self { inner }
    }

    /// Returns the version: 1 for the cell's first value, and 1 more with each change.
    pub fn version(&self) -> u64 {
        self.inner.version
    }

    /// Makes this a snapshot to be kept for long.
    #[must_use]
    pub fn keep(self) -> Self {
        Self { inner: Guard::from_inner(Guard::into_inner(self.inner)) }
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner.value
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self { inner: Guard::from_inner(Arc::clone(&self.inner)) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version()).field("value", &**self).finish()
    }
}
