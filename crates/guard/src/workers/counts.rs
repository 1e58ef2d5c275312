//! What a pool has done.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) taken: Count,
    pub(super) refused: Count,
    /// Grants that were given back.
    pub(super) ended: Count,
    pub(super) panicked: Count,
    pub(super) expired: Count,
    pub(super) cancelled: Count,
    pub(super) not_started: Count,
    pub(super) no_thread: Count,
    pub(super) samples: Count,
    pub(super) samples_failed: Count,
    pub(super) pressures: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds one and returns how many there were before.
    pub(super) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
