use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::store::Position;

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
}

/// How far a view is behind its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Up to where events are in the view.
    pub position: Position,
    /// The first event that is not, if there is one.
    pub next: Option<Position>,
    /// How long ago that one happened.
    pub age: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    applied: AtomicU64,
    batches: AtomicU64,
    skipped: AtomicU64,
    failures: AtomicU64,
    switches: AtomicU64,
    rewinds: AtomicU64,
}

impl Counters {
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
        ProjectionMetrics {
            applied: get(&self.applied),
            batches: get(&self.batches),
            skipped: get(&self.skipped),
            failures: get(&self.failures),
            switches: get(&self.switches),
            rewinds: get(&self.rewinds),
        }
    }
}

impl Lag {
    pub(super) fn new(position: Position, next: Option<(Position, SystemTime)>, now: SystemTime) -> Self {
        let age = next.and_then(|(_, time)| now.duration_since(time).ok()).unwrap_or_default();
        Self { position, next: next.map(|(position, _)| position), age }
    }

    /// Says whether everything that is stored is in the view.
    pub fn is_caught_up(&self) -> bool {
        self.next.is_none()
    }
}
