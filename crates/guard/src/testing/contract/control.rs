//! The hand that moves an [`Inner`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::broken::expect;
use super::{Broken, Inner, Response};
use crate::Error;
use crate::testing::Failure;

/// Says when the service within is ready and what it answers, and sees what the guard does to it.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) shared: Arc<Mutex<Shared>>,
}

/// What all clones of one [`Inner`] share.
#[derive(Debug)]
pub(super) struct Shared {
    /// How many clones may be ready or calling at once.
    pub(super) capacity: usize,
    /// How many are.
    pub(super) taken: usize,
    pub(super) waiting: Vec<Waker>,
    pub(super) fails_to_become_ready: Option<Error<Failure>>,
    /// The calls that are under way, by the number in their body, and how often each number was called.
    pub(super) calls: BTreeMap<u32, Pending>,
    pub(super) called: BTreeMap<u32, usize>,
    pub(super) violations: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) end: Option<End>,
    pub(super) waker: Option<Waker>,
}

/// How a call of an [`Inner`] ends.
#[derive(Debug)]
pub(super) enum End {
    Answer(Result<Response, Error<Failure>>),
    Panic,
}

impl Control {
    pub(super) fn new() -> Self {
        let shared = Shared {
            capacity: 8,
            taken: 0,
            waiting: Vec::new(),
            fails_to_become_ready: None,
            calls: BTreeMap::new(),
            called: BTreeMap::new(),
            violations: Vec::new(),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Returns a service that this hand moves.
    pub fn inner(&self) -> Inner {
        Inner::new(self.clone())
    }

    /// Sets how many clones may be ready or calling at once, and wakes those who wait for it.
    pub fn set_capacity(&self, capacity: usize) {
        let mut shared = self.shared.lock();
        shared.capacity = capacity;
        let waiting = std::mem::take(&mut shared.waiting);
        drop(shared);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Makes each `poll_ready` from now on fail with `error`.
    pub fn fail_to_become_ready(&self, error: Error<Failure>) {
        self.shared.lock().fails_to_become_ready = Some(error);
    }

    /// Answers call `number`.
    pub fn answer(&self, number: u32, answer: Result<Response, Error<Failure>>) {
        self.end(number, End::Answer(answer));
    }

    /// Lets call `number` panic when it is polled next.
    pub fn panic(&self, number: u32) {
        self.end(number, End::Panic);
    }

    /// Returns how many clones are ready or calling.
    pub fn taken(&self) -> usize {
        self.shared.lock().taken
    }

    /// Returns how often call `number` has arrived.
    pub fn arrived(&self, number: u32) -> usize {
        self.shared.lock().called.get(&number).copied().unwrap_or(0)
    }

    /// Returns [`Broken`] if the guard called a service that was not ready.
    pub(super) fn violations(&self) -> Result<(), Broken> {
        let shared = self.shared.lock();
        expect(shared.violations.is_empty(), || shared.violations.join("; "))
    }

    fn end(&self, number: u32, end: End) {
        let mut shared = self.shared.lock();
        let pending = shared.calls.entry(number).or_default();
        pending.end = Some(end);
        let waker = pending.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
