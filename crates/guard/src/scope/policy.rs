//! How many tasks a scope may have, and what counts as a leak.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::{PolicyError, at_least, duration, lasts, optional_duration, unless};

/// The bounds of a scope.
///
/// It is a document, too: names are in camel case, durations have units, and a name that is unknown is refused.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::ScopePolicy;
///
/// let policy: ScopePolicy = serde_json::from_str(r#"{"tasksMax": 1000, "oldAfter": "1m"}"#)?;
/// assert_eq!((policy.tasks_max, policy.old_after), (1000, Duration::from_secs(60)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ScopePolicy {
    /// The most tasks alive at a time; 1 or more.
    pub tasks_max: usize,
    /// How long aborted tasks have to stop when the scope is closed. A task stops at its next `await`; one that does
    /// not get there blocks a thread.
    #[serde(with = "duration")]
    pub abort_within: Duration,
    /// From which age on a task that has a deadline is old.
    #[serde(with = "duration")]
    pub old_after: Duration,
    /// How often leaks are looked for; 1 ms or more.
    #[serde(with = "duration")]
    pub inspect_every: Duration,
    /// Over how many inspections growth is judged; 2 to 64.
    pub growth_window: usize,
    /// From which length on a poll counts as slow, for it keeps a thread from all other tasks; `None` (`null` in a
    /// document): polls are not timed.
    #[serde(with = "optional_duration")]
    pub slow_poll: Option<Duration>,
}

impl Default for ScopePolicy {
    /// 65,536 tasks, 1 s to stop, old after 10 minutes, looked at every 30 s, growth over 8 inspections;
    /// polls are slow from 10 ms on.
    fn default() -> Self {
        Self {
            tasks_max: 1 << 16,
            abort_within: Duration::from_secs(1),
            old_after: Duration::from_secs(600),
            inspect_every: Duration::from_secs(30),
            growth_window: 8,
            slow_poll: Some(Duration::from_millis(10)),
        }
    }
}

const INSPECT_EVERY_MIN: Duration = Duration::from_millis(1);
const GROWTH_WINDOW: RangeInclusive<usize> = 2..=64;

impl ScopePolicy {
    /// Says whether it can be, for whoever changes several policies or none.
    ///
    /// # Errors
    /// [`PolicyError`] that names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), PolicyError> {
        at_least("tasksMax", self.tasks_max, 1)?;
        lasts("inspectEvery", self.inspect_every, INSPECT_EVERY_MIN)?;
        lasts("slowPoll", self.slow_poll.unwrap_or(Duration::MAX), Duration::from_nanos(1))?;
        unless(!GROWTH_WINDOW.contains(&self.growth_window), "growthWindow", || {
            (format!("{} is out of range", self.growth_window), "write 2 to 64".to_owned())
        })
    }

    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        Self {
            tasks_max: self.tasks_max.clamp(1, usize::MAX >> 2),
            inspect_every: self.inspect_every.max(INSPECT_EVERY_MIN),
            growth_window: self.growth_window.clamp(*GROWTH_WINDOW.start(), *GROWTH_WINDOW.end()),
            ..self
        }
    }
}
