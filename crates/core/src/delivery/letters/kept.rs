use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Fate, Letter, LetterId, LetterQuery};

/// Letters in memory, in order, found by the key of their message too.
#[derive(Debug)]
pub(super) struct Kept<T> {
    letters: BTreeMap<LetterId, Letter<T>>,
    /// The letters whose message has this key; more than one only if they are of several subscriptions.
    by_key: HashMap<Arc<str>, Vec<LetterId>>,
    /// The letters whose message has this partition key, so that the next of one key is found among many letters.
    by_partition: HashMap<Arc<str>, std::collections::BTreeSet<LetterId>>,
    /// Letters whose removal has begun, and is not known to be done.
    leaving: BTreeMap<LetterId, Letter<T>>,
    last: LetterId,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            letters: BTreeMap::new(),
            by_key: HashMap::new(),
            by_partition: HashMap::new(),
            leaving: BTreeMap::new(),
            last: LetterId::default(),
        }
    }
}

impl<T: Clone> Kept<T> {
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn contains(&self, id: LetterId) -> bool {
        self.letters.contains_key(&id)
    }

    /// Returns the letter of the same message for the same subscription, if there is one.
    pub(super) fn find(&self, letter: &Letter<T>) -> Option<LetterId> {
        let ids = self.by_key.get(letter.message.about().key.as_ref()?)?;
        ids.iter().copied().find(|id| {
            let kept = &self.letters[id];
            kept.destination == letter.destination && kept.subscriber == letter.subscriber
        })
    }

    /// Says whether there are letters of this subscription with `partition_key`.
    pub(super) fn holds(&self, destination: &str, subscriber: &str, partition_key: &str) -> bool {
        let mut ids = self.by_partition.get(partition_key).into_iter().flatten();
        ids.any(|id| {
            let letter = &self.letters[id];
            *letter.destination == *destination && *letter.subscriber == *subscriber
        })
    }

    /// Takes a letter out of the list before its removal is written, for it may be written although nobody hears of it.
    /// Says whether there is such a letter.
    pub(super) fn begin_removal(&mut self, id: LetterId) -> bool {
        if let Some(letter) = self.remove(id) {
            self.leaving.insert(id, letter);
        }
        self.leaving.contains_key(&id)
    }

    /// Forgets a letter whose removal is written, and returns it.
    pub(super) fn end_removal(&mut self, id: LetterId) -> Option<Letter<T>> {
        self.leaving.remove(&id)
    }

    /// Returns the letter of the same message for the same subscription whose removal has begun.
    pub(super) fn find_leaving(&self, letter: &Letter<T>) -> Option<LetterId> {
        let key = letter.message.about().key.as_ref()?;
        let mut leaving = self.leaving.values();
        let is_same = |kept: &&Letter<T>| {
            kept.message.about().key.as_ref() == Some(key)
                && kept.destination == letter.destination
                && kept.subscriber == letter.subscriber
        };
        leaving.find(is_same).map(|kept| kept.id)
    }

    /// Adds a letter at the end and returns its id.
    pub(super) fn insert(&mut self, letter: &Letter<T>) -> LetterId {
        let id = LetterId(self.last.0 + 1);
        self.restore(Letter { id, ..letter.clone() });
        id
    }

    /// Adds a letter that has its id.
    pub(super) fn restore(&mut self, letter: Letter<T>) {
        let id = letter.id;
        self.last = self.last.max(id);
        if let Some(key) = &letter.message.about().key {
            self.by_key.entry(Arc::clone(key)).or_default().push(id);
        }
        if let Some(key) = &letter.message.about().partition_key {
            self.by_partition.entry(Arc::clone(key)).or_default().insert(id);
        }
        self.letters.insert(id, letter);
    }

    pub(super) fn select(&self, select: &LetterQuery) -> Vec<Letter<T>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = (Excluded(select.after), Unbounded);
        let limit = if select.limit == 0 { usize::MAX } else { select.limit };
        let selected = |letter: &&Letter<T>| select.matches(letter);
        match &select.partition_key {
            Some(key) => {
                let ids = self.by_partition.get(key).into_iter().flat_map(|ids| ids.range(after));
                ids.map(|id| &self.letters[id]).filter(selected).take(limit).cloned().collect()
            }
            None => {
                let letters = self.letters.range(after).map(|(_, letter)| letter);
                letters.filter(selected).take(limit).cloned().collect()
            }
        }
    }

    pub(super) fn amend(&mut self, id: LetterId, fate: &Fate) {
        if let Some(letter) = self.letters.get_mut(&id) {
            letter.fate = fate.clone();
        }
    }

    pub(super) fn remove(&mut self, id: LetterId) -> Option<Letter<T>> {
        let letter = self.letters.remove(&id)?;
        if let Some(key) = &letter.message.about().key
            && let Some(ids) = self.by_key.get_mut(key)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_key.remove(key);
            }
        }
        if let Some(key) = &letter.message.about().partition_key
            && let Some(ids) = self.by_partition.get_mut(key)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_partition.remove(key);
            }
        }
        Some(letter)
    }
}
