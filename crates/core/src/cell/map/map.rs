use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::shard::Shard;
use super::{Entry, KeyWatch};

const SHARDS: usize = 16;

/// A value for each key, which many read and few change; readers do not wait for one another.
///
/// A look-up gives an [`Entry`]: a copy of the value with the version of its key. What is costly to copy is put into
/// an `Arc`. A clone is another handle to the same map. See the [module](mod@crate::cell) for when to use it.
///
/// # Memory
/// An entry takes 9 bytes beside its key and value, and as the table doubles
/// when it is seven eighths full, up to 2.3 times all that. Room is not given back while the map lives, only reused.
///
/// # Time
/// A change waits for readers of the same sixteenth of all keys, and they for it. `Eq`, `Hash`, `Clone` and
/// `PartialEq` of keys and values are all the code of yours that runs meanwhile: they must not use the map.
///
/// # Examples
/// ```
/// use steadfast_core::CellMap;
///
/// let stock = CellMap::new();
/// assert!(stock.set("apples", 3));
/// assert!(!stock.set("apples", 3), "nothing changed");
///
/// let apples = stock.get("apples").expect("it was set");
/// assert_eq!(*apples, 3);
///
/// // Two decide by the same version: the second is told, with what there is now.
/// assert!(stock.compare_and_swap("apples", Some(apples.version()), 2).is_ok());
/// let now = stock.compare_and_swap("apples", Some(apples.version()), 1).unwrap_err();
/// assert_eq!(now.as_deref(), Some(&2));
///
/// stock.update("pears", |pears| Some(pears.unwrap_or(&0) + 5));
/// let all: i32 = stock.snapshot().iter().map(|(_, count)| **count).sum();
/// assert_eq!((all, stock.len()), (7, 2));
///
/// assert_eq!(stock.remove("pears").as_deref(), Some(&5));
/// ```
pub struct CellMap<K, V, S = RandomState> {
    shared: Arc<Shared<K, V, S>>,
}

pub(super) struct Shared<K, V, S> {
    hasher: S,
    shards: [Shard<K, V>; SHARDS],
    /// How many handles can still change it.
    pub(super) maps: AtomicUsize,
}

impl<K, V> CellMap<K, V> {
    /// Creates a map without entries.
    pub fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }
}

impl<K, V, S> CellMap<K, V, S> {
    /// Creates a map without entries, which hashes by `hasher`: it must spread over all 64 bits, and withstand keys
    /// that are chosen to collide if others choose them.
    pub fn with_hasher(hasher: S) -> Self {
        let shards = std::array::from_fn(|_| Shard::new());
        Self { shared: Arc::new(Shared { hasher, shards, maps: AtomicUsize::new(1) }) }
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns copies of all entries as they are at one moment, in no particular order. Changes wait while they are
    /// taken; readers do not.
    pub fn snapshot(&self) -> Vec<(K, Entry<V>)>
    where
        K: Clone,
        V: Clone,
    {
        let tables: Vec<_> = self.shared.shards.iter().map(Shard::read).collect();
        let mut entries = Vec::with_capacity(tables.iter().map(|table| table.len()).sum());
        tables.iter().for_each(|table| entries.extend(table.iter().cloned()));
        entries
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> CellMap<K, V, S> {
    /// Returns what there is for `key` now.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.shared.get(key)
    }

    /// Returns the version of what there is for `key` now; none where there is nothing.
    #[inline]
    pub fn version<Q>(&self, key: &Q) -> Option<u64>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (shard, hash) = self.shared.shard(key);
        shard.read().find(hash, key).map(Entry::version)
    }

    /// Returns whether there is something for `key`.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.version(key).is_some()
    }

    /// Puts `value` in the place of what there is for `key`, and returns what there was.
    pub fn insert(&self, key: K, value: V) -> Option<Entry<V>> {
        let (shard, hash) = self.shared.shard(&key);
        let (_, old) = shard.write().put(hash, key, value, |key| self.shared.hash(key));
        shard.ring(hash);
        old
    }

    /// Puts `value` in the place of what there is for `key`, unless they are equal, and returns whether anything
    /// changed.
    pub fn set(&self, key: K, value: V) -> bool
    where
        V: PartialEq,
    {
        let (shard, hash) = self.shared.shard(&key);
        let mut table = shard.write();
        if table.find(hash, &key).is_some_and(|current| current.value == value) {
            return false;
        }
        let (_, old) = table.put(hash, key, value, |key| self.shared.hash(key));
        drop(table);
        shard.ring(hash);
        drop(old);
        true
    }

    /// Puts `value` in the place of the one with `version`, or where there is none for none, and returns the new
    /// one's version.
    ///
    /// # Errors
    /// There is another version, or none, which is returned; `value` is dropped.
    pub fn compare_and_swap(&self, key: K, version: Option<u64>, value: V) -> Result<u64, Option<Entry<V>>>
    where
        V: Clone,
    {
        self.publish(key, version, value).map_err(|(_, current)| current)
    }

    /// Puts what `change` makes of the value of `key` in its place, and returns the new version; none if `change`
    /// leaves nothing. `change` is called again when another change came first, and may use the map.
    pub fn update(&self, key: K, mut change: impl FnMut(Option<&V>) -> Option<V>) -> Option<u64>
    where
        V: Clone,
    {
        let mut key = key;
        loop {
            let current = self.get(&key);
            let version = current.as_ref().map(Entry::version);
            match (change(current.as_deref()), version) {
                (None, None) => return None,
                (None, Some(version)) => {
                    if self.compare_and_remove(&key, version).is_ok() {
                        return None;
                    }
                }
                (Some(value), version) => match self.publish(key, version, value) {
                    Ok(version) => return Some(version),
                    Err(unpublished) => key = unpublished.0,
                },
            }
        }
    }

    /// Removes what there is for `key`, and returns it.
    pub fn remove<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (shard, hash) = self.shared.shard(key);
        let taken = shard.write().take(hash, key);
        let (_key, old) = taken?;
        shard.ring(hash);
        Some(old)
    }

    /// Removes the value of `key` that has `version`, and returns it.
    ///
    /// # Errors
    /// There is another version, or none, which is returned.
    pub fn compare_and_remove<Q>(&self, key: &Q, version: u64) -> Result<Entry<V>, Option<Entry<V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        let (shard, hash) = self.shared.shard(key);
        let mut table = shard.write();
        let current = table.find(hash, key);
        if current.map(Entry::version) != Some(version) {
            return Err(current.cloned());
        }
        let taken = table.take(hash, key);
        drop(table);
        shard.ring(hash);
        let (_key, old) = taken.ok_or(None)?;
        Ok(old)
    }

    /// Returns something that waits for changes of what there is for `key`, its removal too; there need not be
    /// anything yet. It gives what there is now first, so that no change is missed between a look and the wait.
    ///
    /// # Examples
    /// ```
    /// use steadfast_core::cell::{CellMap, Closed};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Closed> {
    /// let leaders = CellMap::new();
    /// let mut watch = leaders.watch("shard-1");
    /// assert!(watch.changed().await?.is_none());
    ///
    /// leaders.insert("shard-1", "node-a");
    /// leaders.insert("shard-1", "node-b");
    /// assert_eq!(watch.changed().await?.as_deref(), Some(&"node-b")); // the latest
    ///
    /// leaders.remove("shard-1");
    /// assert!(watch.changed().await?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn watch(&self, key: K) -> KeyWatch<K, V, S> {
        KeyWatch::new(Arc::clone(&self.shared), key)
    }

    /// Puts `value` in place if there is the version `expected`; gives the key back if not, with what there is.
    fn publish(&self, key: K, expected: Option<u64>, value: V) -> Result<u64, (K, Option<Entry<V>>)>
    where
        V: Clone,
    {
        let (shard, hash) = self.shared.shard(&key);
        let mut table = shard.write();
        let current = table.find(hash, &key);
        if current.map(Entry::version) != expected {
            let current = current.cloned();
            return Err((key, current));
        }
        let (version, old) = table.put(hash, key, value, |key| self.shared.hash(key));
        drop(table);
        shard.ring(hash);
        drop(old);
        Ok(version)
    }
}

impl<K, V, S: BuildHasher> Shared<K, V, S> {
    #[inline]
    pub(super) fn get<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        let (shard, hash) = self.shard(key);
        shard.read().find(hash, key).cloned()
    }

    /// Returns the shard of `key`, and its hash.
    #[inline]
    pub(super) fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> (&Shard<K, V>, u64) {
        let hash = self.hash(key);
        // The table looks at the lowest bits and the seven highest.
        let shard = (hash >> 48) as usize % SHARDS;
        (&self.shards[shard], hash)
    }

    #[inline]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }
}

impl<K, V, S> Clone for CellMap<K, V, S> {
    fn clone(&self) -> Self {
        self.shared.maps.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, V, S> Drop for CellMap<K, V, S> {
    fn drop(&mut self) {
        if self.shared.maps.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.shards.iter().for_each(|shard| shard.ring_all());
        }
    }
}

impl<K, V, S: Default> Default for CellMap<K, V, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> FromIterator<(K, V)> for CellMap<K, V, S> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let map = Self::default();
        entries.into_iter().for_each(|(key, value)| drop(map.insert(key, value)));
        map
    }
}

impl<K: fmt::Debug + Clone, V: fmt::Debug + Clone, S> fmt::Debug for CellMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.snapshot().iter().map(|(key, entry)| (key, &entry.value))).finish()
    }
}
