use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::bucket::{Bucket, Node};
use crate::cell::sync::Guard;

/// What a [`CellMap`](super::CellMap) held for a key at one moment; it never changes.
///
/// It is meant for a moment, as a [`Snapshot`](crate::cell::Snapshot) is, and keeps a few of its neighbours alive too:
/// what is kept for long, [`keep`](Self::keep) detaches.
pub struct Entry<K, V> {
    bucket: Guard<Arc<Bucket<K, V>>>,
    at: usize,
}

impl<K, V> Entry<K, V> {
    pub(super) fn new(bucket: Guard<Arc<Bucket<K, V>>>, at: usize) -> Self {
        Self { bucket, at }
    }

    /// Returns the key.
    pub fn key(&self) -> &K {
        &self.node().key
    }

    /// Returns the value.
    pub fn value(&self) -> &V {
        &self.node().value
    }

    /// Returns the version: at least 1, and greater with each change of this key, also across a removal. It grows by
    /// more than 1 where other keys have changed too.
    pub fn version(&self) -> u64 {
        self.node().version
    }

    /// Makes this an entry to be kept for long.
    #[must_use]
    pub fn keep(self) -> Self {
        let bucket = Bucket::of(self.bucket.bits, [Arc::clone(self.node())]);
        Self { bucket: Guard::from_inner(Arc::new(bucket)), at: 0 }
    }

    fn node(&self) -> &Arc<Node<K, V>> {
        &self.bucket.nodes[self.at].node
    }
}

impl<K, V> Deref for Entry<K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.value()
    }
}

impl<K, V> Clone for Entry<K, V> {
    fn clone(&self) -> Self {
        Self { bucket: Guard::from_inner(Arc::clone(&self.bucket)), at: self.at }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Entry<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", self.key())
            .field("version", &self.version())
            .field("value", self.value())
            .finish()
    }
}
