use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::Entry;
use super::bucket::{Bucket, Node};
use crate::cell::sync::{AtomicU32, Guard, Mutex, MutexGuard, Notify, Ordering, Slot};

/// By how many bits of the hash a bucket is chosen at most: 8 million buckets in each shard.
const BITS_MAX: u32 = 23;
/// How many entries there may be for each bucket on average.
const LOAD_MAX: usize = 2;

type Place<K, V> = Slot<Bucket<K, V>>;

/// A part of a map; on cache lines of its own, for another's writers would slow down its readers.
#[repr(align(128))]
pub(in crate::cell) struct Shard<K, V> {
    /// By how many bits of the hash a bucket is chosen. Readers may count by fewer for a while.
    bits: AtomicU32,
    /// The first has one place, each other as many as all before it.
    segments: [OnceLock<Box<[Place<K, V>]>>; BITS_MAX as usize + 1],
    ledger: Mutex<Ledger>,
}

/// What only writers look at.
struct Ledger {
    /// The latest version given to any entry; never given twice, so that a key that comes again has a new one.
    version: u64,
    len: usize,
    /// Who waits for a key, by its hash: two keys of one hash wake each other for nothing.
    bells: HashMap<u64, Bell>,
}

struct Bell {
    notify: Arc<Notify>,
    listeners: usize,
}

impl<K, V> Shard<K, V> {
    pub(in crate::cell) fn new() -> Self {
        let segments = [const { OnceLock::new() }; BITS_MAX as usize + 1];
        let _ = segments[0].set(places(1, 0));
        let ledger = Ledger { version: 0, len: 0, bells: HashMap::new() };
        Self { bits: AtomicU32::new(0), segments, ledger: Mutex::new(ledger) }
    }

    /// Looks up a key without a lock.
    pub(in crate::cell) fn find<Q>(&self, hash: u64, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let mut bits = self.bits.load(Ordering::Acquire);
        loop {
            let bucket = self.place(index(hash, bits)).load();
            // A bucket that has been split since has the lower half only, and says so.
            if bucket.bits <= bits {
                return bucket.position(hash, key).map(|at| Entry::new(bucket, at));
            }
            bits = bucket.bits;
        }
    }

    /// Keeps other writers out.
    pub(in crate::cell) fn write(&self) -> Writer<'_, K, V> {
        Writer { shard: self, ledger: self.ledger.lock() }
    }

    fn place(&self, index: usize) -> &Place<K, V> {
        let segment = segment(index);
        let first = if segment == 0 { 0 } else { 1 << (segment - 1) };
        let places = self.segments[segment].get().expect("a segment is there before a bucket points to it");
        &places[index - first]
    }
}

/// The one that may change a shard.
pub(in crate::cell) struct Writer<'a, K, V> {
    shard: &'a Shard<K, V>,
    ledger: MutexGuard<'a, Ledger>,
}

impl<'a, K, V> Writer<'a, K, V> {
    /// Puts `value` in the place of what there is for `key`, and returns the new version and what there was.
    pub(in crate::cell) fn put(&mut self, hash: u64, key: K, value: V) -> (u64, Option<Entry<K, V>>)
    where
        K: Eq,
    {
        self.ledger.version += 1;
        let version = self.ledger.version;
        let node = Arc::new(Node { hash, version, key, value });
        let place = self.place(hash);
        let old = place.load();
        let at = old.position(hash, &node.key);
        place.swap(Arc::new(old.with(at, Some(node))));
        if let Some(at) = at {
            return (version, Some(Entry::new(old, at)));
        }
        self.ledger.len += 1;
        let bits = self.shard.bits.load(Ordering::Relaxed);
        if self.ledger.len > LOAD_MAX << bits && bits < BITS_MAX {
            self.split(bits);
        }
        (version, None)
    }

    /// Removes what there is for `key`, and returns it.
    pub(in crate::cell) fn take<Q>(&mut self, hash: u64, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let place = self.place(hash);
        let old = place.load();
        let at = old.position(hash, key)?;
        place.swap(Arc::new(old.with(Some(at), None)));
        self.ledger.len -= 1;
        Some(Entry::new(old, at))
    }

    pub(super) fn len(&self) -> usize {
        self.ledger.len
    }

    /// Gives `visit` all buckets.
    pub(super) fn visit(&self, mut visit: impl FnMut(Arc<Bucket<K, V>>)) {
        for index in 0..1_usize << self.shard.bits.load(Ordering::Relaxed) {
            visit(Guard::into_inner(self.shard.place(index).load()));
        }
    }

    /// Ends writing and wakes whoever waits for the key.
    pub(super) fn ring(self, hash: u64) {
        let bell = self.ledger.bells.get(&hash).map(|bell| Arc::clone(&bell.notify));
        drop(self);
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }

    /// Ends writing and wakes all who wait.
    pub(super) fn ring_all(self) {
        let bells: Vec<_> = self.ledger.bells.values().map(|bell| Arc::clone(&bell.notify)).collect();
        drop(self);
        bells.iter().for_each(|bell| bell.notify_waiters());
    }

    /// Returns what rings when the key changes, until [`leave`](Self::leave) is called as often.
    pub(super) fn listen(&mut self, hash: u64) -> Arc<Notify> {
        let new = || Bell { notify: Arc::default(), listeners: 0 };
        let bell = self.ledger.bells.entry(hash).or_insert_with(new);
        bell.listeners += 1;
        Arc::clone(&bell.notify)
    }

    pub(super) fn leave(&mut self, hash: u64) {
        if let Some(bell) = self.ledger.bells.get_mut(&hash) {
            bell.listeners -= 1;
            if bell.listeners == 0 {
                self.ledger.bells.remove(&hash);
            }
        }
    }

    fn place(&self, hash: u64) -> &'a Place<K, V> {
        self.shard.place(index(hash, self.shard.bits.load(Ordering::Relaxed)))
    }

    /// Splits every bucket of the shard, which is chosen by `bits` bits, by one more.
    fn split(&mut self, bits: u32) {
        let count = 1_usize << bits;
        let _ = self.shard.segments[segment(count)].set(places(count, bits + 1));
        let empty = Arc::new(Bucket::empty(bits + 1));
        for index in 0..count {
            let place = self.shard.place(index);
            let (lower, upper) = place.load().split();
            // IMPORTANT: The upper half first: who finds the lower half looks for the rest in its new place.
            if !upper.nodes.is_empty() {
                self.shard.place(index + count).swap(Arc::new(upper));
            }
            place.swap(if lower.nodes.is_empty() { Arc::clone(&empty) } else { Arc::new(lower) });
        }
        self.shard.bits.store(bits + 1, Ordering::Release);
    }
}

fn places<K, V>(count: usize, bits: u32) -> Box<[Place<K, V>]> {
    let empty = Arc::new(Bucket::empty(bits));
    (0..count).map(|_| Slot::new(Arc::clone(&empty))).collect()
}

/// Returns the number of the bucket that is chosen by `bits` bits.
fn index(hash: u64, bits: u32) -> usize {
    (hash & ((1 << bits) - 1)) as usize
}

/// Returns the number of the segment that the bucket `index` lies in.
fn segment(index: usize) -> usize {
    (usize::BITS - index.leading_zeros()) as usize
}
