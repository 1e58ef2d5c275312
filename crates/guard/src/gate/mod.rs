//! Room for so many calls at a time, and a queue for those who wait for it. Bulkhead and shed are built on it.
//!
//! One lock guards all of it. The queue is a slab of linked slots, so that whoever gives up leaves in constant time,
//! and nothing is allocated for a call that finds room.

mod future;
mod queue;
mod room;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Priority;
use tokio::time::Instant;

pub(crate) use self::future::Admit;
pub(crate) use self::future::Passage;
use self::queue::Stage;
use self::room::{Entered, Room};

/// Whom to queue, for how long and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The most calls that wait.
    pub(crate) queue_max: usize,
    /// The longest that a call waits.
    pub(crate) wait_max: Duration,
    /// How long a class has had calls in the queue when overload begins for it, and how long none of them has been
    /// turned away, or has waited too long, when it ends. Under overload the newest goes first, for the oldest has the
    /// least time left to use an answer.
    pub(crate) overload_after: Duration,
    /// The longest that a call waits under overload.
    pub(crate) wait_max_overload: Duration,
}

/// Why a call was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// All places in the queue are taken, or one that mattered more took this one's.
    Full,
    /// It waited as long as it may.
    Waited,
}

/// What a gate has seen and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) limit: u32,
    pub(crate) in_flight: u32,
    pub(crate) queued: usize,
    pub(crate) admitted: u64,
    pub(crate) refused: [u64; Priority::ALL.len()],
}

#[derive(Debug)]
pub(crate) struct Gate {
    room: Mutex<Room>,
}

impl Gate {
    pub(crate) fn new(limit: u32, rule: Rule) -> Arc<Self> {
        Arc::new(Self { room: Mutex::new(Room::new(limit, rule)) })
    }

    /// Lets a call in if there is room, or queues it, or turns it away.
    #[inline]
    pub(crate) fn enter(self: &Arc<Self>, priority: Priority) -> Entry {
        let mut wakers = Wakers::default();
        let entered = self.room.lock().enter(priority, Instant::now, &mut wakers.0);
        wakers.wake();
        match entered {
            Entered::Admitted => Entry::Admitted(Permit { gate: Arc::clone(self) }),
            Entered::Queued(slot) => Entry::Queued(Waiter { gate: Arc::clone(self), slot: Some(slot) }),
            Entered::Refused(refusal) => Entry::Refused(refusal),
        }
    }

    /// Changes how many are let in. Whoever is let in by that is for the caller to wake.
    pub(crate) fn set_limit(&self, limit: u32) -> Wakers {
        let mut wakers = Wakers::default();
        self.room.lock().set_limit(limit, Instant::now, &mut wakers.0);
        wakers
    }

    /// Changes the rule and the limit. Who is in stays, and who waits is judged by the new rule from now on. Whoever is
    /// let in by that is for the caller to wake.
    pub(crate) fn set_rule(&self, rule: Rule, limit: u32) -> Wakers {
        let mut wakers = Wakers::default();
        self.room.lock().set_rule(rule, limit, Instant::now, &mut wakers.0);
        wakers
    }

    pub(crate) fn rule(&self) -> Rule {
        self.room.lock().rule()
    }

    pub(crate) fn figures(&self) -> Figures {
        self.room.lock().figures()
    }

    /// Returns how many are in, and how many were at most since this was asked last.
    pub(crate) fn in_flight(&self) -> (u32, u32) {
        self.room.lock().take_peak()
    }
}

/// What became of a call that came.
pub(crate) enum Entry {
    Admitted(Permit),
    Queued(Waiter),
    Refused(Refusal),
}

/// Room for one call, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut wakers = Wakers::default();
        self.gate.room.lock().leave(Instant::now, &mut wakers.0);
        wakers.wake();
    }
}

/// A place in the queue, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    gate: Arc<Gate>,
    /// `None` once the answer was handed out.
    slot: Option<usize>,
}

impl Waiter {
    /// Returns the longest that the call may wait.
    pub(crate) fn wait_max(&self) -> Duration {
        self.gate.rule().wait_max
    }

    /// Waits for room.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Refusal>> {
        let slot = self.slot.expect("polled after it was ready");
        // Cloned before the lock is taken, and what it replaces is dropped after: a waker may run code of others.
        let waker = cx.waker().clone();
        let mut room = self.gate.room.lock();
        match room.queue.stage(slot) {
            Stage::Waiting => {
                let replaced = room.queue.set_waker(slot, waker);
                drop(room);
                drop(replaced);
                Poll::Pending
            }
            Stage::Decided(decided) => {
                let left = room.queue.free(slot);
                self.slot = None;
                drop(room);
                drop(left);
                Poll::Ready(decided.map(|()| Permit { gate: Arc::clone(&self.gate) }))
            }
        }
    }

    /// Leaves because the call has waited too long.
    pub(crate) fn give_up(mut self) {
        self.leave(true);
    }

    fn leave(&mut self, is_refusal: bool) {
        let Some(slot) = self.slot.take() else { return };
        let mut wakers = Wakers::default();
        let left = self.gate.room.lock().abandon(slot, is_refusal, Instant::now, &mut wakers.0);
        drop(left);
        wakers.wake();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave(false);
    }
}

/// Tasks to wake once no lock is held: a waker may run code of others.
#[derive(Debug, Default)]
#[must_use = "whoever was let in is to be woken"]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    #[inline]
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}
