use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use super::shard::{Shard, Writer};
use super::{Entries, Entry, KeyWatch};
use crate::cell::sync::{AtomicUsize, Ordering};

/// How many bits of the hash choose the shard; they are not used again within it.
const SHARD_BITS: u32 = 4;

/// A value for each key, which many read and few change; reading takes no lock and waits for nobody.
///
/// A look-up gives an [`Entry`]: the value as it was at one moment, with the version of its key. A clone is another
/// handle to the same map. See the [module](mod@crate::cell) for when to use it.
///
/// # Memory
/// A map without entries takes about 12 KiB. An entry takes some 95 bytes beside its key and value. Room is not given
/// back while the map lives, only reused: its high-water mark costs 8 bytes for each 1 to 2 entries that it had.
///
/// # Time
/// A change copies a few pointers under a lock that it shares with a sixteenth of all keys; `Eq` and `Hash` of the key
/// are all the code of yours that runs meanwhile. When a sixteenth has grown to twice its size, one change splits it,
/// which takes about 150 ns for each of its entries; readers do not wait meanwhile.
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
/// let all: i32 = stock.snapshot().iter().map(|(_, count, _)| count).sum();
/// assert_eq!((all, stock.len()), (7, 2));
///
/// assert_eq!(stock.remove("pears").as_deref(), Some(&5));
/// ```
pub struct CellMap<K, V, S = RandomState> {
    shared: Arc<Shared<K, V, S>>,
}

pub(super) struct Shared<K, V, S> {
    hasher: S,
    shards: [Shard<K, V>; 1 << SHARD_BITS],
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
    /// Creates a map without entries, which hashes by `hasher`: it must spread over all bits, the lowest too, and
    /// withstand keys that are chosen to collide if others choose them.
    pub fn with_hasher(hasher: S) -> Self {
        let shards = std::array::from_fn(|_| Shard::new());
        Self { shared: Arc::new(Shared { hasher, shards, maps: AtomicUsize::new(1) }) }
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| shard.write().len()).sum()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all entries as they are at one moment. Changes wait while it is taken, about 15 ns for each entry;
    /// readers do not, and nobody does while it is looked at.
    pub fn snapshot(&self) -> Entries<K, V> {
        let writers: Vec<_> = self.shared.shards.iter().map(Shard::write).collect();
        let mut entries = Entries::with_capacity(writers.iter().map(Writer::len).sum());
        writers.iter().for_each(|writer| writer.visit(|bucket| entries.push(bucket)));
        entries
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> CellMap<K, V, S> {
    /// Returns what there is for `key` now.
    pub fn get<Q>(&self, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (shard, hash) = self.shared.shard(key);
        shard.find(hash, key)
    }

    /// Returns whether there is something for `key`.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.get(key).is_some()
    }

    /// Puts `value` in the place of what there is for `key`, and returns what there was.
    pub fn insert(&self, key: K, value: V) -> Option<Entry<K, V>> {
        let (shard, hash) = self.shared.shard(&key);
        let mut writer = shard.write();
        let (_, old) = writer.put(hash, key, value);
        writer.ring(hash);
        old
    }

    /// Puts `value` in the place of what there is for `key`, unless they are equal, and returns whether anything
    /// changed.
    pub fn set(&self, key: K, value: V) -> bool
    where
        V: PartialEq,
    {
        let (mut key, mut value) = (key, value);
        loop {
            let current = self.get(&key);
            if current.as_deref() == Some(&value) {
                return false;
            }
            match self.publish(key, current.map(|current| current.version()), value) {
                Ok(_) => return true,
                Err(unpublished) => (key, value, _) = unpublished,
            }
        }
    }

    /// Puts `value` in the place of the one with `version`, or where there is none for none, and returns the new
    /// one's version.
    ///
    /// # Errors
    /// There is another version, or none, which is returned; `value` is dropped.
    pub fn compare_and_swap(
        &self,
        key: K,
        version: Option<u64>,
        value: V,
    ) -> Result<u64, Option<Entry<K, V>>> {
        self.publish(key, version, value).map_err(|(_, _, current)| current)
    }

    /// Puts what `change` makes of the value of `key` in its place, and returns the new version; none if `change`
    /// leaves nothing. `change` is called again when another change came first.
    pub fn update(&self, key: K, mut change: impl FnMut(Option<&V>) -> Option<V>) -> Option<u64> {
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
    pub fn remove<Q>(&self, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (shard, hash) = self.shared.shard(key);
        let mut writer = shard.write();
        let old = writer.take(hash, key)?;
        writer.ring(hash);
        Some(old)
    }

    /// Removes the value of `key` that has `version`, and returns it.
    ///
    /// # Errors
    /// There is another version, or none, which is returned.
    pub fn compare_and_remove<Q>(&self, key: &Q, version: u64) -> Result<Entry<K, V>, Option<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (shard, hash) = self.shared.shard(key);
        let mut writer = shard.write();
        let current = shard.find(hash, key);
        if current.as_ref().map(Entry::version) != Some(version) {
            return Err(current);
        }
        let old = writer.take(hash, key).ok_or(None)?;
        writer.ring(hash);
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

    /// Puts `value` in place if there is the version `expected`; gives all back if not, with what there is.
    #[allow(clippy::type_complexity, reason = "what was given comes back")]
    fn publish(&self, key: K, expected: Option<u64>, value: V) -> Result<u64, (K, V, Option<Entry<K, V>>)> {
        let (shard, hash) = self.shared.shard(&key);
        let mut writer = shard.write();
        let current = shard.find(hash, &key);
        if current.as_ref().map(Entry::version) != expected {
            drop(writer);
            return Err((key, value, current));
        }
        let (version, _old) = writer.put(hash, key, value);
        writer.ring(hash);
        Ok(version)
    }
}

impl<K, V, S: BuildHasher> Shared<K, V, S> {
    /// Returns the shard of `key`, and its hash there.
    pub(super) fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> (&Shard<K, V>, u64) {
        let hash = self.hasher.hash_one(key);
        let shard = hash as usize & ((1 << SHARD_BITS) - 1);
        (&self.shards[shard], hash >> SHARD_BITS)
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
            self.shared.shards.iter().for_each(|shard| shard.write().ring_all());
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

impl<K: fmt::Debug, V: fmt::Debug, S> fmt::Debug for CellMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.snapshot().iter().map(|(key, value, _)| (key, value))).finish()
    }
}
