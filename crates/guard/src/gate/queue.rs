//! Those who wait, by class and age.

use std::task::Waker;

use steadfast_base::Priority;
use tokio::time::Instant;

use super::Refusal;

const CLASSES: usize = Priority::ALL.len();

/// How a waiting call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    /// It was let in or turned away, and has not heard of it yet.
    Decided(Result<(), Refusal>),
}

#[derive(Debug)]
struct Slot {
    stage: Stage,
    since: Instant,
    class: usize,
    older: Option<usize>,
    newer: Option<usize>,
    waker: Option<Waker>,
}

/// One list for each class, linked through the slots of all. Slots are used again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    slots: Vec<Slot>,
    free: Vec<usize>,
    oldest: [Option<usize>; CLASSES],
    newest: [Option<usize>; CLASSES],
    waiting: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) fn push(&mut self, priority: Priority, now: Instant) -> usize {
        let class = priority as usize;
        let older = self.newest[class];
        let new = Slot { stage: Stage::Waiting, since: now, class, older, newer: None, waker: None };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = new;
                slot
            }
            None => {
                self.slots.push(new);
                self.slots.len() - 1
            }
        };
        match older {
            Some(older) => self.slots[older].newer = Some(slot),
            None => self.oldest[class] = Some(slot),
        }
        self.newest[class] = Some(slot);
        self.waiting += 1;
        slot
    }

    /// Takes a waiting call out of its list and decides on it. The waker is for the caller to wake.
    pub(super) fn decide(&mut self, slot: usize, decided: Result<(), Refusal>) -> Option<Waker> {
        self.unlink(slot);
        self.slots[slot].stage = Stage::Decided(decided);
        self.slots[slot].waker.take()
    }

    /// Takes a waiting call out of its list.
    pub(super) fn unlink(&mut self, slot: usize) {
        let Slot { stage, class, older, newer, .. } = self.slots[slot];
        debug_assert_eq!(stage, Stage::Waiting);
        match older {
            Some(older) => self.slots[older].newer = newer,
            None => self.oldest[class] = newer,
        }
        match newer {
            Some(newer) => self.slots[newer].older = older,
            None => self.newest[class] = older,
        }
        self.waiting -= 1;
    }

    /// Gives a slot back whose call is in no list. The waker is for the caller to drop.
    #[must_use]
    pub(super) fn free(&mut self, slot: usize) -> Option<Waker> {
        self.free.push(slot);
        self.slots[slot].waker.take()
    }

    pub(super) fn stage(&self, slot: usize) -> Stage {
        self.slots[slot].stage
    }

    pub(super) fn class(&self, slot: usize) -> usize {
        self.slots[slot].class
    }

    pub(super) fn since(&self, slot: usize) -> Instant {
        self.slots[slot].since
    }

    /// Keeps a waker. The one before it is for the caller to drop.
    #[must_use]
    pub(super) fn set_waker(&mut self, slot: usize, waker: Waker) -> Option<Waker> {
        self.slots[slot].waker.replace(waker)
    }

    pub(super) fn oldest(&self, class: usize) -> Option<usize> {
        self.oldest[class]
    }

    pub(super) fn newest(&self, class: usize) -> Option<usize> {
        self.newest[class]
    }
}
