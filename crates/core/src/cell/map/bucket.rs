use std::borrow::Borrow;
use std::sync::Arc;

use smallvec::SmallVec;

/// A key with its value; it never changes.
pub(super) struct Node<K, V> {
    pub(super) hash: u64,
    pub(super) version: u64,
    pub(super) key: K,
    pub(super) value: V,
}

/// The entries whose hashes agree in the lowest `bits` bits; it never changes.
pub(in crate::cell) struct Bucket<K, V> {
    pub(super) bits: u32,
    pub(super) nodes: SmallVec<[Tagged<K, V>; INLINE]>,
}

/// How many entries lie in the bucket itself. A bucket has two on average at most.
const INLINE: usize = 4;

/// The hash stands beside the pointer, so that another key's node is not looked at.
pub(super) struct Tagged<K, V> {
    pub(super) hash: u64,
    pub(super) node: Arc<Node<K, V>>,
}

impl<K, V> Bucket<K, V> {
    pub(super) fn empty(bits: u32) -> Self {
        Self { bits, nodes: SmallVec::new() }
    }

    pub(super) fn of(bits: u32, nodes: impl IntoIterator<Item = Arc<Node<K, V>>>) -> Self {
        let nodes = nodes.into_iter().map(|node| Tagged { hash: node.hash, node }).collect();
        Self { bits, nodes }
    }

    /// Returns where the entry of `key` is.
    pub(super) fn position<Q>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.nodes.iter().position(|tagged| tagged.hash == hash && tagged.node.key.borrow() == key)
    }

    /// Returns a copy without the entry at `without`, and with `node`.
    pub(super) fn with(&self, without: Option<usize>, node: Option<Arc<Node<K, V>>>) -> Self {
        let others = self.nodes.iter().enumerate().filter(|(at, _)| Some(*at) != without);
        Self::of(self.bits, others.map(|(_, tagged)| Arc::clone(&tagged.node)).chain(node))
    }

    /// Returns the halves, by the next bit of the hash.
    pub(super) fn split(&self) -> (Self, Self) {
        let half = |upper: bool| {
            let nodes = self.nodes.iter().filter(|tagged| (tagged.hash >> self.bits & 1 == 1) == upper);
            Self::of(self.bits + 1, nodes.map(|tagged| Arc::clone(&tagged.node)))
        };
        (half(false), half(true))
    }
}
