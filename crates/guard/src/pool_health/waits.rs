//! How long callers wait for connections.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::histogram::Histogram;

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
#[derive(Debug, Clone, Default)]
pub struct Waits {
    // The last one holds what took longer than 17 minutes.
    shared: Arc<Histogram<32>>,
}

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

impl Waits {
    /// Counts a caller that waited for `wait`.
    pub fn record(&self, wait: Duration) {
        self.shared.record(wait);
    }

    /// Returns how long callers have waited.
    pub fn times(&self) -> WaitTimes {
        let counted = self.shared.counted();
        WaitTimes {
            count: counted.count(),
            total_us: counted.total_us(),
            max_us: counted.max_us(),
            p99_us: counted.all_but_one_in(100),
        }
    }
}
