use std::task::{Poll, Waker};

use super::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// What became of the messages of one subscription after they left its queue.
#[derive(Debug)]
pub(in crate::bus) struct Tally {
    pub(in crate::bus) handled: AtomicU64,
    pub(in crate::bus) dead: AtomicU64,
    pub(in crate::bus) parked: AtomicU64,
    pub(in crate::bus) released: AtomicU64,
    pub(in crate::bus) redelivered: AtomicU64,
    /// How many wait in the queue; it is written under the lock and read without it.
    pub(in crate::bus) queued: Apart<AtomicU64>,
}

/// Something that publishers write, in a cache line of its own: else each write would take from the consumer what it
/// writes itself.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::bus) struct Apart<T>(pub(in crate::bus) T);

impl Tally {
    pub(in crate::bus) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            handled: zero(),
            dead: zero(),
            parked: zero(),
            released: zero(),
            redelivered: zero(),
            queued: Apart(zero()),
        }
    }

    #[inline]
    pub(super) fn show_queued(&self, queued: u64) {
        self.queued.0.store(queued, Ordering::Relaxed);
    }

    /// How many messages have left the hands of handlers for good.
    #[inline]
    pub(in crate::bus) fn ended(&self) -> u64 {
        get(&self.handled) + get(&self.dead) + get(&self.parked) + get(&self.released)
    }
}

#[inline]
pub(in crate::bus) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}

/// A bell that rings at the end of each message, but only while somebody listens: nobody does before closing.
#[derive(Debug)]
pub(in crate::bus) struct Bell {
    listening: AtomicBool,
    listeners: Mutex<Vec<Waker>>,
}

impl Bell {
    pub(in crate::bus) fn new() -> Self {
        Self { listening: AtomicBool::new(false), listeners: Mutex::new(Vec::new()) }
    }

    /// Counts and rings.
    #[inline]
    pub(in crate::bus) fn count(&self, counter: &AtomicU64) {
        // IMPORTANT: This and `listen` are sequentially consistent: either this sees the listener, or the listener
        // sees the count.
        counter.fetch_add(1, Ordering::SeqCst);
        self.ring();
    }

    #[inline]
    pub(in crate::bus) fn ring(&self) {
        if self.listening.load(Ordering::SeqCst) {
            let listeners = std::mem::take(&mut *self.listeners.lock());
            listeners.into_iter().for_each(Waker::wake);
        }
    }

    /// Is ready once `done` is; to be asked again after each ring.
    pub(in crate::bus) fn listen(&self, waker: &Waker, done: impl FnOnce() -> bool) -> Poll<()> {
        self.listeners.lock().push(waker.clone());
        self.listening.store(true, Ordering::SeqCst);
        if done() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}
