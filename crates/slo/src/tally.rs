use std::time::Duration;

use hdrhistogram::Histogram;

/// Significant decimal digits of a latency: every percentile is true to 0.1 %.
const DIGITS: u8 = 3;

/// What was seen of a step within a window.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Commands that succeeded.
    pub succeeded: u64,
    /// Commands that failed.
    pub failed: u64,
    /// Latencies of those that succeeded, in microseconds.
    latencies: Histogram<u64>,
    max_us: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new(DIGITS).expect("three digits are within the histogram's range");
        Self { succeeded: 0, failed: 0, latencies, max_us: 0 }
    }

    pub(crate) fn add_latency(&mut self, us: u64, count: u32) {
        self.latencies.record_n(us, u64::from(count)).expect("a histogram that resizes takes every value");
    }

    pub(crate) fn add_max(&mut self, max_us: u64) {
        self.max_us = self.max_us.max(max_us);
    }

    /// Returns how many commands were seen.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Returns the share of commands that succeeded, 0 to 1; none where there were no commands.
    pub fn success_ratio(&self) -> Option<f64> {
        (self.total() > 0).then(|| self.succeeded as f64 / self.total() as f64)
    }

    /// Returns the latency that `percent` of the successful commands did not exceed, 0 to 100, true to 0.1 %; none
    /// where no command succeeded.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let value = || self.latencies.value_at_quantile(percent / 100.0).min(self.max_us);
        (self.succeeded > 0).then(|| Duration::from_micros(value()))
    }

    /// Returns the longest latency of the successful commands, to the microsecond; none where no command succeeded.
    pub fn max(&self) -> Option<Duration> {
        (self.succeeded > 0).then(|| Duration::from_micros(self.max_us))
    }
}
