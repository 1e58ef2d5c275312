//! How much is let through.

use std::fmt;
use std::time::Duration;

use super::gcra::Terms;

/// How many permits are let through per window of time, and how many of them at a time.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::rate_limit::Quota;
///
/// let quota = Quota::new(100, Duration::from_secs(60)).with_burst(20);
/// assert_eq!(quota.to_string(), "100 per 60s, 20 at a time");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    permits: u32,
    window: Duration,
    burst: u32,
}

impl Quota {
    const WINDOW_MIN: Duration = Duration::from_micros(1);
    const WINDOW_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

    /// Creates a quota of `permits` (1 or more; 0 counts as 1) per `window` (1 µs to 366 days, cut to that), all of
    /// which may come at a time.
    ///
    /// The time between two permits is kept in whole nanoseconds and rounded up, so that a quota is never exceeded: up
    /// to a million permits per second it falls short by at most 0.1 %.
    pub fn new(permits: u32, window: Duration) -> Self {
        let permits = permits.max(1);
        Self { permits, window: window.clamp(Self::WINDOW_MIN, Self::WINDOW_MAX), burst: permits }
    }

    /// Creates a quota of `permits` per second, all of which may come at a time.
    pub fn per_second(permits: u32) -> Self {
        Self::new(permits, Duration::from_secs(1))
    }

    /// Creates a quota of `permits` per minute, all of which may come at a time.
    pub fn per_minute(permits: u32) -> Self {
        Self::new(permits, Duration::from_secs(60))
    }

    /// Returns the same rate with at most `burst` permits at a time (1 or more, 0 counts as 1; at most what the rate
    /// gives in 36 years).
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst: burst.clamp(1, Terms::burst_max(self.interval())), ..self }
    }

    /// Returns the permits per window.
    pub fn permits(self) -> u32 {
        self.permits
    }

    /// Returns the window.
    pub fn window(self) -> Duration {
        self.window
    }

    /// Returns the most permits at a time.
    pub fn burst(self) -> u32 {
        self.burst
    }

    pub(super) fn terms(self) -> Terms {
        Terms::new(self.interval(), self.burst)
    }

    /// Returns the nanoseconds between two permits, rounded up.
    fn interval(self) -> u64 {
        (self.window.as_nanos() as u64).div_ceil(u64::from(self.permits))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}, {} at a time", self.permits, self.window, self.burst)
    }
}
