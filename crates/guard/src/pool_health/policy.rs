//! How often connections are checked, and what becomes of those that fail.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::Percentage;

use crate::policy::{PolicyError, at_least, duration, lasts};

/// The bounds of a supervisor.
///
/// It is a document, too: names are in camel case, durations and shares have units, and a name that is unknown is
/// refused.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::PoolHealthPolicy;
///
/// let policy: PoolHealthPolicy = serde_json::from_str(r#"{"interval": "2s", "checksMax": 8}"#)?;
/// assert_eq!((policy.interval, policy.checks_max), (Duration::from_secs(2), 8));
/// assert_eq!(policy.check_within, PoolHealthPolicy::default().check_within);
///
/// let typo = serde_json::from_str::<PoolHealthPolicy>(r#"{"checks": 8}"#).unwrap_err().to_string();
/// assert!(typo.contains("unknown field `checks`, expected one of `interval`"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PoolHealthPolicy {
    /// The time between two rounds; 10 ms or more.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// By how much of it, more or less, that time is drawn anew each time, so that processes which started together do
    /// not check together; at most 100 %.
    pub jitter: Percentage,
    /// How long a check may take until the connection counts as stale; 1 ms or more.
    #[serde(with = "duration")]
    pub check_within: Duration,
    /// How long opening a connection may take, where one is opened to know whether the server is well; 1 ms or more.
    #[serde(with = "duration")]
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

const INTERVAL_MIN: Duration = Duration::from_millis(10);
const WITHIN_MIN: Duration = Duration::from_millis(1);

impl PoolHealthPolicy {
    /// Says whether it can be, for whoever changes several policies or none.
    ///
    /// # Errors
    /// [`PolicyError`] that names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), PolicyError> {
        lasts("interval", self.interval, INTERVAL_MIN)?;
        lasts("checkWithin", self.check_within, WITHIN_MIN)?;
        lasts("connectWithin", self.connect_within, WITHIN_MIN)?;
        at_least("checksMax", self.checks_max, 1)?;
        at_least("unhealthyAfter", self.unhealthy_after, 1)?;
        at_least("healthyAfter", self.healthy_after, 1)
    }

    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        Self {
            interval: self.interval.max(INTERVAL_MIN),
            check_within: self.check_within.max(WITHIN_MIN),
            connect_within: self.connect_within.max(WITHIN_MIN),
            checks_max: self.checks_max.max(1),
            unhealthy_after: self.unhealthy_after.max(1),
            healthy_after: self.healthy_after.max(1),
            ..self
        }
    }

    /// Returns the time until the next round; `draw` is a number in 0.0..1.0.
    pub(super) fn pause(&self, draw: f64) -> Duration {
        let share = 1.0 + self.jitter.ratio() * (2.0 * draw - 1.0);
        let seconds = self.interval.as_secs_f64() * share;
        // Also with all of it as jitter a round does not follow at once.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.interval).max(Duration::from_millis(1))
    }
}
