use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;

use super::kept::Kept;
use super::{DeadLetters, Error, Fate, Letter, LetterId, LetterQuery};

/// Keeps dead letters of any payload in memory; they are lost with the process.
#[derive(Debug)]
pub struct MemoryDeadLetters<T> {
    capacity: usize,
    kept: Mutex<Kept<T>>,
}

impl<T> MemoryDeadLetters<T> {
    /// Makes room for `capacity` letters.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> DeadLetters<T> for MemoryDeadLetters<T> {
    fn holds(&self, destination: &str, subscriber: &str, partition_key: &str) -> Option<bool> {
        Some(self.kept.lock().holds(destination, subscriber, partition_key))
    }

    fn put<'a>(&'a self, letter: &'a Letter<T>) -> BoxFuture<'a, Result<LetterId, Error>> {
        let mut kept = self.kept.lock();
        let put = match kept.find(letter) {
            Some(id) => Ok(id),
            None if kept.len() >= self.capacity => Err(Error::Full { capacity: self.capacity }),
            None => Ok(kept.insert(letter)),
        };
        Box::pin(ready(put))
    }

    fn list<'a>(&'a self, select: &'a LetterQuery) -> BoxFuture<'a, Result<Vec<Letter<T>>, Error>> {
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
