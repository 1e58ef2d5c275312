//! How long callers wait for connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Measures how long callers wait. Clones share it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::pool_health::Waits;
///
/// let waits = Waits::default();
/// waits.record(Duration::from_micros(300));
/// assert_eq!(waits.times().count, 1);
/// assert_eq!(waits.times().max_us, 300);
/// ```
#[derive(Debug, Clone)]
pub struct Waits {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    total_us: AtomicU64,
    max_us: AtomicU64,
    /// How many waits took less than 2ⁿ µs, and not less than half of that.
    buckets: [AtomicU64; BUCKETS],
}

/// The last one holds what took longer than 36 minutes.
const BUCKETS: usize = 32;

/// How long callers have waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WaitTimes {
    /// How many callers asked for a connection and have stopped waiting.
    pub count: u64,
    /// How long they waited in all, in microseconds.
    pub total_us: u64,
    /// The longest wait, in microseconds.
    pub max_us: u64,
    /// What 99 of 100 waits were shorter than, rounded up to a power of two or to the longest, in microseconds.
    pub p99_us: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                total_us: AtomicU64::new(0),
                max_us: AtomicU64::new(0),
                buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
        }
    }
}

impl Waits {
    /// Counts a caller that waited for `wait`.
    pub fn record(&self, wait: Duration) {
        let us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let shared = &*self.shared;
        shared.total_us.fetch_add(us, Ordering::Relaxed);
        shared.max_us.fetch_max(us, Ordering::Relaxed);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        shared.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how long callers have waited.
    pub fn times(&self) -> WaitTimes {
        let shared = &*self.shared;
        let buckets: [u64; BUCKETS] =
            std::array::from_fn(|bucket| shared.buckets[bucket].load(Ordering::Relaxed));
        let count: u64 = buckets.iter().sum();
        let max_us = shared.max_us.load(Ordering::Relaxed);
        let wanted = count - count / 100;
        let mut below = 0;
        let bucket = buckets.iter().position(|in_it| {
            below += in_it;
            below >= wanted
        });
        let p99_us = bucket.filter(|bucket| bucket + 1 < BUCKETS).map_or(max_us, |bucket| 1 << bucket);
        let total_us = shared.total_us.load(Ordering::Relaxed);
        WaitTimes { count, total_us, max_us, p99_us: p99_us.min(max_us) }
    }
}
