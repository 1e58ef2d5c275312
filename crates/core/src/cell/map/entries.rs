use std::fmt;
use std::sync::Arc;

use super::bucket::Bucket;

/// All entries of a [`CellMap`](super::CellMap) as they were at one moment.
///
/// It keeps them alive, and takes 8 bytes for each one or two of them.
pub struct Entries<K, V> {
    buckets: Vec<Arc<Bucket<K, V>>>,
    len: usize,
}

impl<K, V> Entries<K, V> {
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self { buckets: Vec::with_capacity(entries), len: 0 }
    }

    pub(super) fn push(&mut self, bucket: Arc<Bucket<K, V>>) {
        if !bucket.nodes.is_empty() {
            self.len += bucket.nodes.len();
            self.buckets.push(bucket);
        }
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Visits the entries, in no particular order: key, value and version.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V, u64)> {
        let nodes = self.buckets.iter().flat_map(|bucket| &bucket.nodes).map(|tagged| &*tagged.node);
        nodes.map(|node| (&node.key, &node.value, node.version))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Entries<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value, _)| (key, value))).finish()
    }
}
