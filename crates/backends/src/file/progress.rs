//! How far the log is written and durable, for all who look; one thread at a time moves it on, the writer once there is
//! one, and waits for no lock to do so.
//!
//! Each of these only grows, and none is told before it is true. Who reads several of them may see one move and not yet
//! the other, but what is durable can be read by then.

use std::sync::atomic::{AtomicU64, Ordering};

use super::format::Offset;

#[derive(Debug)]
pub(super) struct Progress {
    readable: AtomicU64,
    written_end: AtomicU64,
    durable: AtomicU64,
    durable_end: AtomicU64,
    told: AtomicU64,
}

impl Progress {
    /// That of a log whose events up to `newest` are all durable, as is all of it before `end`; that all is durable up
    /// to `told` is told by a frame.
    pub(super) fn new(newest: u64, end: Offset, told: Offset) -> Self {
        Self {
            readable: AtomicU64::new(newest),
            written_end: AtomicU64::new(end.bits()),
            durable: AtomicU64::new(newest),
            durable_end: AtomicU64::new(end.bits()),
            told: AtomicU64::new(told.bits()),
        }
    }

    /// The newest event that is written.
    pub(super) fn readable(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }

    /// Where the bytes end that are written, at least as far as the newest readable event that was seen before.
    pub(super) fn written_end(&self) -> Offset {
        Offset::from_bits(self.written_end.load(Ordering::Acquire))
    }

    /// The newest event that is durable.
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Up to where the log is durable.
    pub(super) fn durable_end(&self) -> Offset {
        Offset::from_bits(self.durable_end.load(Ordering::Acquire))
    }

    /// Up to where frames that are durable themselves tell that the log is durable: what is damaged before it is not taken
    /// for a torn tail.
    pub(super) fn told(&self) -> Offset {
        Offset::from_bits(self.told.load(Ordering::Acquire))
    }

    pub(super) fn set_readable(&self, newest: u64, written_end: Offset) {
        // First: whoever sees the event must find its frame before the end.
        self.written_end.store(written_end.bits(), Ordering::Release);
        self.readable.store(newest, Ordering::Release);
    }

    pub(super) fn set_durable(&self, newest: u64, end: Offset) {
        debug_assert!(newest <= self.readable(), "what is durable can be read");
        self.durable.store(newest, Ordering::Release);
        self.durable_end.store(end.bits(), Ordering::Release);
    }

    pub(super) fn set_told(&self, told: Offset) {
        self.told.store(told.bits(), Ordering::Release);
    }
}
