//! Which message in hand is the first of its key: a hash index over the entries of a table, without memory of its
//! own but the buckets, so that a key that comes and goes costs no allocation.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// The buckets; each is the first of a list through the entries.
pub(super) struct Keys {
    buckets: Box<[u32]>,
    hasher: RandomState,
}

/// What an entry adds to the lists of the index.
#[derive(Clone, Copy)]
pub(super) struct KeyLink {
    pub(super) hash: u64,
    /// The next first of another key in the same bucket.
    pub(super) next: u32,
}

/// The entries, as far as the index knows them.
pub(super) trait Links {
    fn link(&self, entry: u32) -> KeyLink;
    fn set_link(&mut self, entry: u32, link: KeyLink);
    fn key(&self, entry: u32) -> &str;
}

impl Keys {
    /// Makes an index for `entries_max` entries.
    pub(super) fn new(entries_max: usize) -> Self {
        let buckets = (entries_max.min(1 << 19) * 2).next_power_of_two().max(16);
        Self { buckets: vec![NONE; buckets].into(), hasher: RandomState::new() }
    }

    pub(super) fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns the first entry of `key`.
    pub(super) fn find(&self, hash: u64, key: &str, links: &impl Links) -> Option<u32> {
        let mut entry = self.buckets[self.bucket(hash)];
        while entry != NONE {
            let link = links.link(entry);
            if link.hash == hash && links.key(entry) == key {
                return Some(entry);
            }
            entry = link.next;
        }
        None
    }

    /// Makes `entry` the first of its key, which has none.
    pub(super) fn insert(&mut self, hash: u64, entry: u32, links: &mut impl Links) {
        let bucket = self.bucket(hash);
        links.set_link(entry, KeyLink { hash, next: self.buckets[bucket] });
        self.buckets[bucket] = entry;
    }

    /// Puts `successor` in the place of `entry`, or nothing if it is [`NONE`].
    pub(super) fn replace(&mut self, entry: u32, successor: u32, links: &mut impl Links) {
        let KeyLink { hash, next } = links.link(entry);
        let replacement = if successor == NONE { next } else { successor };
        if successor != NONE {
            links.set_link(successor, KeyLink { hash, next });
        }
        let bucket = self.bucket(hash);
        if self.buckets[bucket] == entry {
            self.buckets[bucket] = replacement;
            return;
        }
        let mut at = self.buckets[bucket];
        while at != NONE {
            let link = links.link(at);
            if link.next == entry {
                links.set_link(at, KeyLink { next: replacement, ..link });
                return;
            }
            at = link.next;
        }
        debug_assert!(false, "the first of a key stands in its bucket");
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    struct Plain(Vec<(KeyLink, String)>);

    impl Links for Plain {
        fn link(&self, entry: u32) -> KeyLink {
            self.0[entry as usize].0
        }
        fn set_link(&mut self, entry: u32, link: KeyLink) {
            self.0[entry as usize].0 = link;
        }
        fn key(&self, entry: u32) -> &str {
            &self.0[entry as usize].1
        }
    }

    proptest! {
        /// The index agrees with a map, whatever is inserted, replaced and removed; few buckets make long lists.
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((0_u8..40, 0_u8..3), 1..200)) {
            let mut keys = Keys::new(4);
            let mut links = Plain(Vec::new());
            let mut model: HashMap<String, u32> = HashMap::new();
            for (key, step) in steps {
                let key = key.to_string();
                let hash = keys.hash(&key);
                let entry = links.0.len() as u32;
                links.0.push((KeyLink { hash, next: NONE }, key.clone()));
                match (model.get(&key).copied(), step) {
                    (None, _) => {
                        keys.insert(hash, entry, &mut links);
                        model.insert(key.clone(), entry);
                    }
                    (Some(first), 0) => {
                        keys.replace(first, NONE, &mut links);
                        model.remove(&key);
                    }
                    (Some(first), _) => {
                        keys.replace(first, entry, &mut links);
                        model.insert(key.clone(), entry);
                    }
                }
                for key in 0..40 {
                    let key = key.to_string();
                    let found = keys.find(keys.hash(&key), &key, &links);
                    prop_assert_eq!(found, model.get(&key).copied());
                }
            }
        }
    }
}
