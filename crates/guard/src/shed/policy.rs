//! Between what bounds the limit is sought, and who waits.

use std::time::Duration;

use crate::gate::Rule;

/// How the limit is found, and who waits for room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShedPolicy {
    /// The limit before anything was measured, cut to the next two.
    pub limit_initial: u32,
    /// The lowest limit; 1 or more.
    pub limit_min: u32,
    /// The highest limit; `limit_min` or more.
    pub limit_max: u32,
    /// By what latency may exceed the baseline before the limit shrinks; 1.0 to 10.0. What is served takes about that
    /// much longer under overload. A lower one gives lower latency, and less throughput where latency varies.
    pub tolerance: f64,
    /// How long latency is averaged before the limit is changed.
    pub window: Duration,
    /// How many calls latency is averaged over at least; 1 or more.
    pub samples_min: u32,
    /// How often the baseline is measured, give or take a quarter.
    pub probe_every: Duration,
    /// The most calls that wait; 0: whoever finds no room is refused at once.
    pub queue_max: usize,
    /// The longest that a call waits, and how long the queue must not have been empty to be a standing one. The
    /// request's deadline shortens it.
    pub wait_max: Duration,
    /// How long a call may have waited in a standing queue, `wait_max` at most, to be let in when room becomes free. One
    /// that has waited longer is turned away when the next call comes or ends, and not by a timer: while nothing
    /// happens it goes on waiting, until `wait_max`.
    pub wait_target: Duration,
}

impl Default for ShedPolicy {
    /// Begins with 20 calls at a time and stays between 2 and 1,000; latency may exceed the baseline by half, averaged
    /// over 100 ms and 10 calls at least; a probe every 10 s; 256 calls wait for 100 ms, or for 5 ms in a standing
    /// queue.
    fn default() -> Self {
        Self {
            limit_initial: 20,
            limit_min: 2,
            limit_max: 1000,
            tolerance: 1.5,
            window: Duration::from_millis(100),
            samples_min: 10,
            probe_every: Duration::from_secs(10),
            queue_max: 256,
            wait_max: Duration::from_millis(100),
            wait_target: Duration::from_millis(5),
        }
    }
}

impl ShedPolicy {
    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        let limit_min = self.limit_min.max(1);
        let limit_max = self.limit_max.max(limit_min);
        Self {
            limit_initial: self.limit_initial.clamp(limit_min, limit_max),
            limit_min,
            limit_max,
            tolerance: if self.tolerance.is_nan() { 1.0 } else { self.tolerance.clamp(1.0, 10.0) },
            samples_min: self.samples_min.max(1),
            ..self
        }
    }

    pub(super) fn rule(&self) -> Rule {
        Rule {
            queue_max: self.queue_max,
            wait_max: self.wait_max,
            overload_after: self.wait_max,
            wait_max_overload: self.wait_target.min(self.wait_max),
        }
    }
}
