//! How often connections are checked, and what becomes of those that fail.

use std::time::Duration;

use steadfast_base::Rng;
use steadfast_base::units::Percentage;

/// The bounds of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolHealthPolicy {
    /// The time between two rounds; 10 ms or more.
    pub interval: Duration,
    /// By how much of it, more or less, that time is drawn anew each time, so that processes which started together do
    /// not check together; at most 100 %.
    pub jitter: Percentage,
    /// How long a check may take until the connection counts as stale; 1 ms or more.
    pub check_within: Duration,
    /// How long opening a connection may take, where one is opened to know whether the server is well; 1 ms or more.
    pub connect_within: Duration,
    /// The most connections that are checked in a round; 1 or more.
    pub checks_max: usize,
    /// The most connections that are evicted in a round in which the server itself does not answer; 0 keeps all.
    pub evictions_max: usize,
    /// After how many rounds in a row in which nothing answered a pool is unhealthy; 1 or more.
    pub unhealthy_after: u32,
    /// After how many rounds in a row without a stale connection a pool is healthy again; 1 or more.
    pub healthy_after: u32,
}

impl Default for PoolHealthPolicy {
    /// A round every 5 s ± 20 %, 200 ms for a check, 1 s to connect; 4 checks and, while the server does not answer, 1
    /// eviction in a round; unhealthy after 1 round, healthy after 2.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            jitter: Percentage::from_ratio(0.2),
            check_within: Duration::from_millis(200),
            connect_within: Duration::from_secs(1),
            checks_max: 4,
            evictions_max: 1,
            unhealthy_after: 1,
            healthy_after: 2,
        }
    }
}

impl PoolHealthPolicy {
    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        const SHORTEST: Duration = Duration::from_millis(1);
        Self {
            interval: self.interval.max(10 * SHORTEST),
            jitter: self.jitter.min(Percentage::from_ratio(1.0)),
            check_within: self.check_within.max(SHORTEST),
            connect_within: self.connect_within.max(SHORTEST),
            checks_max: self.checks_max.max(1),
            unhealthy_after: self.unhealthy_after.max(1),
            healthy_after: self.healthy_after.max(1),
            ..self
        }
    }

    /// Draws the time until the next round.
    pub(super) fn pause(&self, rng: &mut Rng) -> Duration {
        let share = 1.0 + self.jitter.ratio() * (2.0 * rng.unit() - 1.0);
        let seconds = self.interval.as_secs_f64() * share;
        // Also with all of it as jitter a round does not follow at once.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.interval).max(Duration::from_millis(1))
    }
}
