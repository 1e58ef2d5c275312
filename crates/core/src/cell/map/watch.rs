use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use super::Entry;
use super::map::Shared;
use crate::cell::Closed;

/// Waits for changes of one key of a [`CellMap`](super::CellMap); made by [`CellMap::watch`](super::CellMap::watch).
///
/// Of several changes between two calls only the latest is seen, and the last change always is. There may be any
/// number of watches; each keeps the entries alive, but not the map: see [`Closed`].
pub struct KeyWatch<K: Hash, V, S: BuildHasher> {
    shared: Arc<Shared<K, V, S>>,
    key: K,
    bell: Arc<Notify>,
    seen: Seen,
}

/// What has been given last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Absent,
    Version(u64),
}

impl<K: Eq + Hash, V, S: BuildHasher> KeyWatch<K, V, S> {
    pub(super) fn new(shared: Arc<Shared<K, V, S>>, key: K) -> Self {
        let (shard, hash) = shared.shard(&key);
        let bell = shard.listen(hash);
        Self { shared, key, bell, seen: Seen::Nothing }
    }

    /// Returns the key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Waits until there is something else for the key than what this has given last, and returns it, none if it has
    /// been removed; the first call returns what there is at once.
    ///
    /// # Errors
    /// [`Closed`]: every handle of the map is gone, and the last change has been given.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call gives the change that this one would have given, or a newer.
    pub async fn changed(&mut self) -> Result<Option<Entry<V>>, Closed>
    where
        V: Clone,
    {
        loop {
            // IMPORTANT: Listen before looking: a change after the look rings, one before it is seen.
            let rung = self.bell.notified();
            let open = self.shared.maps.load(Ordering::Acquire) > 0;
            let current = self.load();
            let found = current.as_ref().map_or(Seen::Absent, |entry| Seen::Version(entry.version()));
            if found != self.seen {
                self.seen = found;
                return Ok(current);
            }
            if !open {
                return Err(Closed);
            }
            drop(current);
            rung.await;
        }
    }

    /// Returns what there is for the key now, without counting it as given.
    pub fn load(&self) -> Option<Entry<V>>
    where
        V: Clone,
    {
        self.shared.get(&self.key)
    }
}

impl<K: Hash, V, S: BuildHasher> Drop for KeyWatch<K, V, S> {
    fn drop(&mut self) {
        let (shard, hash) = self.shared.shard(&self.key);
        shard.leave(hash);
    }
}

impl<K: Hash + fmt::Debug, V, S: BuildHasher> fmt::Debug for KeyWatch<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWatch").field("key", &self.key).field("seen", &self.seen).finish_non_exhaustive()
    }
}
