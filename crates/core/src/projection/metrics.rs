use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Lag;

/// What a projection has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectionMetrics {
    /// How many events were applied, by rebuilding too.
    pub applied: u64,
    /// How many batches they came in.
    pub batches: u64,
    /// How many events were passed because they could not be applied.
    pub skipped: u64,
    /// How many attempts failed.
    pub failures: u64,
    /// How often a rebuilt view has taken the place of another.
    pub switches: u64,
    /// How often a view had gone back, for its place was restored from a copy or had lost what it had committed, and was
    /// brought the events from there again.
    pub rewinds: u64,
    /// How far the view was behind when that was looked at last: a run does it every [`lag_every`](super::Settings), and
    /// [`Projector::lag`](super::Projector::lag) does. None before.
    pub lag: Option<Lag>,
    /// How long ago that was. It grows while nothing runs, and while the store or the view's place does not answer.
    pub lag_told_ago: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    applied: AtomicU64,
    batches: AtomicU64,
    skipped: AtomicU64,
    failures: AtomicU64,
    switches: AtomicU64,
    rewinds: AtomicU64,
    /// Held to copy what is in it, never while anybody waits.
    lag: Mutex<Option<(Lag, Instant)>>,
}

impl Counters {
    pub(super) fn told(&self, lag: Lag) {
        *self.lag.lock() = Some((lag, Instant::now()));
    }

    pub(super) fn applied(&self, events: usize) {
        self.applied.fetch_add(events as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn switched(&self) {
        self.switches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rewound(&self) {
        self.rewinds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> ProjectionMetrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lag = *self.lag.lock();
        ProjectionMetrics {
            applied: get(&self.applied),
            batches: get(&self.batches),
            skipped: get(&self.skipped),
            failures: get(&self.failures),
            switches: get(&self.switches),
            rewinds: get(&self.rewinds),
            lag: lag.map(|(lag, _)| lag),
            lag_told_ago: lag.map(|(_, told)| told.elapsed()),
        }
    }
}
