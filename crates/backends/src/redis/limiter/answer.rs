//! What a quota is to the script, and what its answer means.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{RedisError, Script};
use steadfast_guard::rate_limit::{Decision, Error, Quota};

static ACQUIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/acquire.lua")));

/// A quota in nanoseconds, as [`Quota`] itself counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    quota: Quota,
    interval: u64,
    tolerance: u64,
}

/// What the script has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Taken { permits: u32, debt: u64 },
    Refused { wait: Duration },
}

impl Terms {
    pub(super) fn new(quota: Quota) -> Self {
        // Far from where additions are cut off.
        const TOLERANCE_MAX: u64 = u64::MAX / 4;
        let window = u64::try_from(quota.window().as_nanos()).unwrap_or(u64::MAX);
        let interval = window.div_ceil(u64::from(quota.permits())).max(1);
        let tolerance = interval.saturating_mul(u64::from(quota.burst())).min(TOLERANCE_MAX);
        Self { quota, interval, tolerance }
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Returns what is left when that much is used.
    pub(super) fn decision(&self, debt: u64) -> Decision {
        let remaining = self.tolerance.saturating_sub(debt) / self.interval;
        Decision::from_parts(u32::try_from(remaining).unwrap_or(u32::MAX), Duration::from_nanos(debt))
    }

    pub(super) fn refusal(&self, wait: Duration) -> Error {
        Error::Limited { quota: self.quota, retry_after: wait }
    }

    /// Takes `fewest` to `most` permits of what is kept under `key`; one round trip.
    pub(super) async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
        key: &str,
        fewest: u32,
        most: u32,
    ) -> Result<Answer, RedisError> {
        let mut call = ACQUIRE.key(key);
        call.arg(self.interval).arg(self.tolerance).arg(fewest).arg(most);
        let (is_taken, value, debt): (u8, u64, u64) = call.invoke_async(connection).await?;
        Ok(if is_taken == 1 {
            Answer::Taken { permits: u32::try_from(value).unwrap_or(most), debt }
        } else {
            Answer::Refused { wait: Duration::from_nanos(value) }
        })
    }
}
