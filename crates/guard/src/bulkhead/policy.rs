//! How many at a time, and who waits.

use std::time::Duration;

use crate::gate::Rule;

/// How many calls are made at a time, how many wait for room, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkheadPolicy {
    /// The most calls at a time; 1 or more, 0 counts as 1.
    pub concurrency_max: u32,
    /// The most calls that wait; 0: whoever finds no room is refused at once.
    pub queue_max: usize,
    /// The longest that a call waits; the request's deadline shortens it.
    pub wait_max: Duration,
    /// How long the queue must not have been empty for the newest to go first. [`Duration::MAX`]: first in, first out,
    /// always.
    pub newest_first_after: Duration,
}

impl Default for BulkheadPolicy {
    /// 32 calls at a time, 64 more that wait for at most a second, and the newest first after 100 ms.
    fn default() -> Self {
        Self {
            concurrency_max: 32,
            queue_max: 64,
            wait_max: Duration::from_secs(1),
            newest_first_after: Duration::from_millis(100),
        }
    }
}

impl BulkheadPolicy {
    pub(super) fn rule(&self) -> Rule {
        Rule {
            queue_max: self.queue_max,
            wait_max: self.wait_max,
            overload_after: self.newest_first_after,
            wait_max_overload: self.wait_max,
        }
    }
}
