//! When a second attempt is made.

use std::time::Duration;

/// After how long a call is asked a second time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgePolicy {
    /// The share of calls that are answered before a hedge would be made; 0.5 to 0.999.
    pub percentile: f64,
    /// The shortest delay before a hedge, however fast the callee.
    pub delay_min: Duration,
    /// The longest delay before a hedge, however slow the callee: [`Duration::MAX`] for none.
    pub delay_max: Duration,
    /// With fewer answers than these the percentile says nothing, and no hedge is made; 1 or more.
    pub samples_min: u32,
    /// For how long a latency counts: at least this, at most twice as long.
    pub window: Duration,
}

impl Default for HedgePolicy {
    /// A hedge after the 95th percentile of the latencies of the last 30 s to a minute, of 100 answers at least, but
    /// not before 1 ms.
    fn default() -> Self {
        Self {
            percentile: 0.95,
            delay_min: Duration::from_millis(1),
            delay_max: Duration::MAX,
            samples_min: 100,
            window: Duration::from_secs(30),
        }
    }
}

impl HedgePolicy {
    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        let percentile = if self.percentile.is_nan() { 0.95 } else { self.percentile.clamp(0.5, 0.999) };
        Self { percentile, samples_min: self.samples_min.max(1), ..self }
    }
}
