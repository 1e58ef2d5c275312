use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use hashbrown::HashTable;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Entry;

/// A part of a map.
pub(super) struct Shard<K, V> {
    table: ShardedLock<Table<K, V>>,
    /// Who waits for a key, by its hash: two keys of one hash wake each other for nothing.
    bells: Mutex<HashMap<u64, Bell>>,
}

pub(super) struct Table<K, V> {
    nodes: HashTable<(K, Entry<V>)>,
    /// The latest version given to any entry; never given twice, so that a key that comes again has a new one.
    version: u64,
}

struct Bell {
    notify: Arc<Notify>,
    listeners: usize,
}

impl<K, V> Shard<K, V> {
    pub(super) fn new() -> Self {
        let table = Table { nodes: HashTable::new(), version: 0 };
        Self { table: ShardedLock::new(table), bells: Mutex::default() }
    }

    // A panic in a key's `Eq` or `Hash` leaves the table whole.
    #[inline]
    pub(super) fn read(&self) -> ShardedLockReadGuard<'_, Table<K, V>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> ShardedLockWriteGuard<'_, Table<K, V>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for a key.
    ///
    /// IMPORTANT: To be called after the change, and not under its lock. Who has not seen the change has been
    /// registered before it was made.
    pub(super) fn ring(&self, hash: u64) {
        let bell = self.bells.lock().get(&hash).map(|bell| Arc::clone(&bell.notify));
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }

    /// Wakes all who wait.
    pub(super) fn ring_all(&self) {
        let bells: Vec<_> = self.bells.lock().values().map(|bell| Arc::clone(&bell.notify)).collect();
        bells.iter().for_each(|bell| bell.notify_waiters());
    }

    /// Returns what rings when the key changes, until [`leave`](Self::leave) is called as often.
    pub(super) fn listen(&self, hash: u64) -> Arc<Notify> {
        let mut bells = self.bells.lock();
        let bell = bells.entry(hash).or_insert_with(|| Bell { notify: Arc::default(), listeners: 0 });
        bell.listeners += 1;
        Arc::clone(&bell.notify)
    }

    pub(super) fn leave(&self, hash: u64) {
        let mut bells = self.bells.lock();
        if let Some(bell) = bells.get_mut(&hash) {
            bell.listeners -= 1;
            if bell.listeners == 0 {
                bells.remove(&hash);
            }
        }
    }
}

impl<K, V> Table<K, V> {
    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Entry<V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.nodes.find(hash, |(known, _)| known.borrow() == key).map(|(_, entry)| entry)
    }

    /// Puts `value` in the place of what there is for `key`, and returns the new version and what there was.
    pub(super) fn put(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        rehash: impl Fn(&K) -> u64,
    ) -> (u64, Option<Entry<V>>)
    where
        K: Eq,
    {
        self.version += 1;
        let entry = Entry { version: self.version, value };
        let old = match self.nodes.find_mut(hash, |(known, _)| *known == key) {
            Some((_, known)) => Some(std::mem::replace(known, entry)),
            None => {
                self.nodes.insert_unique(hash, (key, entry), |(known, _)| rehash(known));
                None
            }
        };
        (self.version, old)
    }

    /// Removes what there is for `key`, and returns it.
    pub(super) fn take<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, Entry<V>)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let found = self.nodes.find_entry(hash, |(known, _)| known.borrow() == key).ok()?;
        Some(found.remove().0)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, Entry<V>)> {
        self.nodes.iter()
    }
}
