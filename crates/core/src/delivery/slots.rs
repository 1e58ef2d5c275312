//! The handlers of one run that are at work: their futures, who is to be polled, and who is late first.
//!
//! A place is used again with all that belongs to it, so that a handler costs an allocation only while their
//! number grows. All deadlines are equally long, so those who started first are late first: a list suffices.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::keys::NONE;
use super::table::Call;

pub(super) struct Slots<F> {
    slots: Vec<Slot<F>>,
    free: Vec<u32>,
    /// The ends of the list by deadline.
    first: u32,
    last: u32,
    woken: Arc<Woken>,
}

pub(super) struct Slot<F> {
    pub(super) future: Pin<Box<Option<F>>>,
    pub(super) waker: Waker,
    pub(super) span: tracing::Span,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    call: Option<Call>,
    bell: Arc<Bell>,
    before: u32,
    after: u32,
    linked: bool,
}

/// Who was woken since they were last polled.
#[derive(Default)]
struct Woken {
    queue: Mutex<Vec<u32>>,
    task: AtomicWaker,
}

struct Bell {
    slot: u32,
    rung: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.woken.queue.lock().push(self.slot);
            self.woken.task.wake();
        }
    }
}

impl<F> Slots<F> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), first: NONE, last: NONE, woken: Arc::default() }
    }

    /// Takes a free place for `call`.
    pub(super) fn enter(&mut self, call: Call, started: Instant, deadline: Instant) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| self.grow(started));
        let slot = &mut self.slots[index as usize];
        slot.call = Some(call);
        (slot.started, slot.deadline) = (started, deadline);
        slot.bell.rung.store(false, Ordering::Release);
        index
    }

    fn grow(&mut self, now: Instant) -> u32 {
        let index = self.slots.len() as u32;
        let woken = Arc::clone(&self.woken);
        let bell = Arc::new(Bell { slot: index, rung: AtomicBool::new(false), woken });
        self.slots.push(Slot {
            future: Box::pin(None),
            waker: Waker::from(Arc::clone(&bell)),
            span: tracing::Span::none(),
            started: now,
            deadline: now,
            call: None,
            bell,
            before: NONE,
            after: NONE,
            linked: false,
        });
        // Then giving a place back never allocates.
        self.free.reserve(self.slots.len());
        index
    }

    pub(super) fn get(&mut self, index: u32) -> &mut Slot<F> {
        &mut self.slots[index as usize]
    }

    /// Puts a handler that has to wait at the end of the list by deadline.
    pub(super) fn wait(&mut self, index: u32) {
        let before = self.last;
        let slot = self.get(index);
        (slot.before, slot.after, slot.linked) = (before, NONE, true);
        match before {
            NONE => self.first = index,
            before => self.get(before).after = index,
        }
        self.last = index;
    }

    /// Frees the place, whose future has been dropped, and returns the call.
    pub(super) fn leave(&mut self, index: u32) -> Option<Call> {
        let slot = self.get(index);
        let call = slot.call.take()?;
        slot.span = tracing::Span::none();
        let (before, after) = (slot.before, slot.after);
        if std::mem::take(&mut slot.linked) {
            match before {
                NONE => self.first = after,
                before => self.get(before).after = after,
            }
            match after {
                NONE => self.last = before,
                after => self.get(after).before = before,
            }
        }
        self.free.push(index);
        Some(call)
    }

    /// Returns who is late first, and when.
    pub(super) fn first_deadline(&mut self) -> Option<(u32, Instant)> {
        match self.first {
            NONE => None,
            first => Some((first, self.get(first).deadline)),
        }
    }

    /// Sees to it that the task is woken when a handler is.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.woken.task.register(cx.waker());
    }

    /// Moves those who were woken into `into`, which is empty.
    pub(super) fn take_woken(&mut self, into: &mut Vec<u32>) {
        std::mem::swap(&mut *self.woken.queue.lock(), into);
        for &index in &*into {
            self.slots[index as usize].bell.rung.store(false, Ordering::Release);
        }
    }

    pub(super) fn is_waiting(&self, index: u32) -> bool {
        self.slots[index as usize].linked
    }

    /// Returns the calls of all who are at work, after their futures have been dropped.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Call> {
        self.slots.iter_mut().filter_map(|slot| {
            super::caller::clear(slot.future.as_mut());
            slot.call.take()
        })
    }
}
