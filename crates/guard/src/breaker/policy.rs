//! When a breaker trips and how it recovers.

use std::time::Duration;

/// When a breaker opens, for how long, and what closes it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerPolicy {
    /// How many of the last calls the ratio is taken over; 1 to 65,536.
    pub window: u32,
    /// With fewer calls than these the ratio says nothing; 1 to `window`.
    pub calls_min: u32,
    /// The share of failed calls at or above which a failure opens the breaker; 0.0 to 1.0.
    pub failure_ratio: f64,
    /// How many failures without a success between them open the breaker; `None`: the ratio alone decides.
    pub consecutive_failures: Option<u32>,
    /// How long it stays open before it lets probes through.
    pub open_for: Duration,
    /// How many calls are let through half-open, all of which must succeed to close it; 1 or more.
    pub probes: u32,
    /// How long probes may take in all; probes that hang longer count as failed.
    pub probing_for: Duration,
}

impl Default for BreakerPolicy {
    /// Opens for 1 s when half of the last 100 calls failed (20 at least), or 20 one after the other; 3 probes.
    fn default() -> Self {
        Self {
            window: 100,
            calls_min: 20,
            failure_ratio: 0.5,
            consecutive_failures: Some(20),
            open_for: Duration::from_secs(1),
            probes: 3,
            probing_for: Duration::from_secs(5),
        }
    }
}

impl BreakerPolicy {
    pub(super) const WINDOW_MAX: u32 = 1 << 16;

    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        let window = self.window.clamp(1, Self::WINDOW_MAX);
        Self {
            window,
            calls_min: self.calls_min.clamp(1, window),
            failure_ratio: self.failure_ratio.clamp(0.0, 1.0),
            consecutive_failures: self.consecutive_failures.map(|failures| failures.max(1)),
            probes: self.probes.max(1),
            ..self
        }
    }
}
