use std::collections::BTreeMap;

use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;

use super::{DeadLetters, Error, Fate, Letter, LetterId, Select};

/// Keeps dead letters of any payload in memory; they are lost with the process.
#[derive(Debug)]
pub struct MemoryDeadLetters<T> {
    capacity: usize,
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
pub(super) struct Kept<T> {
    letters: BTreeMap<LetterId, Letter<T>>,
    last: LetterId,
}

impl<T> MemoryDeadLetters<T> {
    /// Makes room for `capacity` letters.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default() }
    }
}

impl<T: Clone> Kept<T> {
    /// Returns the letter of the same message, if there is one.
    pub(super) fn find(&self, letter: &Letter<T>) -> Option<LetterId> {
        let key = letter.message.about().key.as_ref()?;
        let same = |kept: &&Letter<T>| {
            kept.message.about().key.as_ref() == Some(key)
                && kept.destination == letter.destination
                && kept.subscriber == letter.subscriber
        };
        self.letters.values().find(same).map(|kept| kept.id)
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn insert(&mut self, letter: &Letter<T>) -> LetterId {
        self.last.0 += 1;
        self.letters.insert(self.last, Letter { id: self.last, ..letter.clone() });
        self.last
    }

    pub(super) fn select(&self, select: &Select) -> Vec<Letter<T>> {
        let limit = if select.limit == 0 { usize::MAX } else { select.limit };
        self.letters.values().filter(|letter| select.matches(letter)).take(limit).cloned().collect()
    }

    pub(super) fn amend(&mut self, id: LetterId, fate: &Fate) -> bool {
        let letter = self.letters.get_mut(&id);
        letter.map(|letter| letter.fate = fate.clone()).is_some()
    }

    pub(super) fn remove(&mut self, id: LetterId) -> Option<Letter<T>> {
        self.letters.remove(&id)
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { letters: BTreeMap::new(), last: LetterId::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> DeadLetters<T> for MemoryDeadLetters<T> {
    fn put<'a>(&'a self, letter: &'a Letter<T>) -> BoxFuture<'a, Result<LetterId, Error>> {
        let mut kept = self.kept.lock();
        let put = match kept.find(letter) {
            Some(id) => Ok(id),
            None if kept.len() >= self.capacity => Err(Error::Full { capacity: self.capacity }),
            None => Ok(kept.insert(letter)),
        };
        Box::pin(ready(put))
    }

    fn list<'a>(&'a self, select: &'a Select) -> BoxFuture<'a, Result<Vec<Letter<T>>, Error>> {
        Box::pin(ready(Ok(self.kept.lock().select(select))))
    }

    fn amend<'a>(&'a self, id: LetterId, fate: &'a Fate) -> BoxFuture<'a, Result<(), Error>> {
        self.kept.lock().amend(id, fate);
        Box::pin(ready(Ok(())))
    }

    fn take(&self, id: LetterId) -> BoxFuture<'_, Result<Option<Letter<T>>, Error>> {
        Box::pin(ready(Ok(self.kept.lock().remove(id))))
    }
}
