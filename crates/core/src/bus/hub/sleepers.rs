use std::collections::VecDeque;
use std::task::Waker;

use smallvec::SmallVec;

/// Whom to wake once the lock is free.
pub(super) type Wakers = SmallVec<[Waker; 4]>;

/// Who waits, by number; the lowest number is woken first.
#[derive(Debug, Default)]
pub(super) struct Sleepers(VecDeque<(u64, Waker)>);

impl Sleepers {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a sleeper in its place; one that was woken for nothing gets its old place back.
    #[inline]
    pub(super) fn wait(&mut self, number: u64, waker: &Waker) {
        match self.0.binary_search_by_key(&number, |sleeper| sleeper.0) {
            Ok(at) => self.0[at].1.clone_from(waker),
            Err(at) => self.0.insert(at, (number, waker.clone())),
        }
    }

    /// Says whether the sleeper was still waiting; it is not any more.
    #[inline]
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let found = self.0.binary_search_by_key(&number, |sleeper| sleeper.0);
        found.is_ok_and(|at| self.0.remove(at).is_some())
    }

    /// Takes out the first sleeper to be woken, if there is one.
    #[inline]
    pub(super) fn rouse(&mut self, wakers: &mut Wakers) -> bool {
        let first = self.0.pop_front();
        first.map(|(_, waker)| wakers.push(waker)).is_some()
    }

    /// Takes out all.
    pub(super) fn rouse_all(&mut self, wakers: &mut Wakers) {
        wakers.extend(self.0.drain(..).map(|(_, waker)| waker));
    }
}

pub(super) fn wake(wakers: Wakers) {
    wakers.into_iter().for_each(Waker::wake);
}
