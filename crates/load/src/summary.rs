use std::time::{Duration, Instant};

use steadfast_base::units::Percentage;

/// How late after its intended start an arrival's first request may be handed to a connection and still count as
/// dispatched on schedule. It lies well above what a busy machine's scheduler does to a thread that is ready to run
/// (some 10 ms), and well below the latencies that objectives are about; latency counts from the intended start
/// anyway, so that lateness is never hidden.
pub const ON_SCHEDULE_TOLERANCE: Duration = Duration::from_millis(100);

/// The largest share of arrivals that may be dispatched late or not at all before the load counts as not driven as
/// declared: 2 %.
pub const SHORTFALL_MAX: f64 = 0.02;

/// What the generator did, as opposed to what the server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The moment from which all times count.
    pub start: Instant,
    /// Arrivals that came due before the end or the cancel.
    pub scheduled: u64,
    /// Those whose first request was handed to a connection.
    pub dispatched: u64,
    /// Those of them that were at most [`ON_SCHEDULE_TOLERANCE`] late.
    pub on_schedule: u64,
    /// The longest lateness of one that was dispatched.
    pub lateness_max: Duration,
    /// Commands that were cut off when the time to drain was over.
    pub abandoned: u64,
    /// Successful answers in which a value to capture was missing.
    pub uncaptured: u64,
    /// Whether the run was cancelled before its end.
    pub cancelled: bool,
    /// How long the run took, with its draining.
    pub elapsed: Duration,
}

impl Summary {
    /// Returns the share of scheduled arrivals that were not dispatched on schedule; 0 where none was scheduled.
    pub fn shortfall(&self) -> Percentage {
        let missing = self.scheduled - self.on_schedule.min(self.scheduled);
        Percentage::from_ratio(missing as f64 / self.scheduled.max(1) as f64)
    }

    /// Says whether the load was driven as declared: at least one arrival, and a shortfall of at most
    /// [`SHORTFALL_MAX`]. Slow and missing answers do not count against it.
    pub fn is_valid(&self) -> bool {
        self.scheduled > 0 && self.shortfall().ratio() <= SHORTFALL_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_percent_short_is_the_limit() {
        let summary = |scheduled, on_schedule| Summary {
            start: Instant::now(),
            scheduled,
            dispatched: scheduled,
            on_schedule,
            lateness_max: Duration::ZERO,
            abandoned: 0,
            uncaptured: 0,
            cancelled: false,
            elapsed: Duration::ZERO,
        };
        assert!(summary(1_000, 980).is_valid());
        assert!(!summary(1_000, 979).is_valid());
        assert!(!summary(0, 0).is_valid());
    }
}
