use std::sync::atomic::{AtomicU64, Ordering};

/// What a repository has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RepositoryMetrics {
    /// How many commands caused events.
    pub executed: u64,
    /// How many commands were recognised as repetitions.
    pub repeated: u64,
    /// How many commands the aggregate refused.
    pub refused: u64,
    /// How often a command was decided again because the stream had moved on.
    pub conflicts: u64,
    /// How many aggregates were loaded, from a snapshot or from nothing.
    pub loads: u64,
    /// How many events were replayed for that.
    pub replayed: u64,
    /// How many snapshots were taken.
    pub snapshots: u64,
    /// How many snapshots could not be taken; no command fails for that.
    pub snapshots_failed: u64,
    /// How many snapshots were dropped because they no longer fitted.
    pub snapshots_dropped: u64,
    /// How many aggregates are in the cache.
    pub cached: u64,
    /// How many bytes they take, as weighed.
    pub cached_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) executed: Counter,
    pub(super) repeated: Counter,
    pub(super) refused: Counter,
    pub(super) conflicts: Counter,
    pub(super) loads: Counter,
    pub(super) replayed: Counter,
    pub(super) snapshots: Counter,
    pub(super) snapshots_failed: Counter,
    pub(super) snapshots_dropped: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self, cache: &dyn Held) -> RepositoryMetrics {
        let (cached, cached_bytes) = cache.held();
        RepositoryMetrics {
            executed: self.executed.get(),
            repeated: self.repeated.get(),
            refused: self.refused.get(),
            conflicts: self.conflicts.get(),
            loads: self.loads.get(),
            replayed: self.replayed.get(),
            snapshots: self.snapshots.get(),
            snapshots_failed: self.snapshots_failed.get(),
            snapshots_dropped: self.snapshots_dropped.get(),
            cached,
            cached_bytes,
        }
    }
}

/// What is in a cache.
pub(super) trait Held: Send + Sync {
    /// Returns how many aggregates there are, and how many bytes they take.
    fn held(&self) -> (u64, u64);
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
