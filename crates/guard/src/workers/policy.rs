//! How much memory a pool may take, and how it keeps to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::{Percentage, Size};

use crate::policy::{PolicyError, at_least, duration, lasts, unless};

/// The bounds of a pool.
///
/// It is a document, too: names are in camel case, sizes, durations and shares have units, and a name that is unknown is
/// refused.
///
/// # Examples
/// ```
/// use steadfast_base::units::Size;
/// use steadfast_guard::WorkersPolicy;
///
/// let policy: WorkersPolicy = serde_json::from_str(r#"{"quota": "512MiB", "concurrencyMax": 2}"#)?;
/// assert_eq!((policy.quota, policy.concurrency_max), (Size::from_mebibytes(512), 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkersPolicy {
    /// How large the resident set of the process may become.
    pub quota: Size,
    /// The most jobs at a time; 1 or more. For CPU-bound jobs more than there are cores gains nothing.
    pub concurrency_max: usize,
    /// The most jobs that wait; 1 or more.
    pub queue_max: usize,
    /// The share of the quota that reservations fill, and from which on concurrency shrinks.
    pub shrink_at: Percentage,
    /// The share of the quota below which concurrency grows back; at most `shrink_at`.
    pub grow_below: Percentage,
    /// How long to wait after a change of concurrency before it grows by one.
    #[serde(with = "duration")]
    pub grow_every: Duration,
    /// The longest time between two samples of memory; 10 ms or more.
    #[serde(with = "duration")]
    pub sample_every: Duration,
    /// How long a job waits until it is level with new ones of the next higher priority.
    #[serde(with = "duration")]
    pub promote_after: Duration,
    /// How many smaller jobs may pass one that does not fit.
    pub overtakes_max: u32,
    /// What a job whose size is to be learned reserves at least, and the smallest size that is learned.
    pub need_min: Size,
}

impl Default for WorkersPolicy {
    /// 256 MiB, one job per core, 1,024 waiting; filled to 90 %, growing below 80 % every 500 ms; sampled every 5 s;
    /// 1 s to the next priority, 32 overtakes; jobs of 1 MiB at least.
    fn default() -> Self {
        Self {
            quota: Size::from_mebibytes(256),
            concurrency_max: std::thread::available_parallelism().map_or(1, usize::from),
            queue_max: 1024,
            shrink_at: Percentage::from_ratio(0.9),
            grow_below: Percentage::from_ratio(0.8),
            grow_every: Duration::from_millis(500),
            sample_every: Duration::from_secs(5),
            promote_after: Duration::from_secs(1),
            overtakes_max: 32,
            need_min: Size::from_mebibytes(1),
        }
    }
}

/// The shortest time between two samples of memory.
pub(super) const SAMPLE_EVERY_MIN: Duration = Duration::from_millis(10);

impl WorkersPolicy {
    /// Says whether it can be, for whoever changes several policies or none.
    ///
    /// # Errors
    /// [`PolicyError`] that names the first setting that cannot be, by itself or beside another.
    pub fn check(&self) -> Result<(), PolicyError> {
        let Self { quota, shrink_at, grow_below, need_min, .. } = *self;
        at_least("quota", quota, Size::from_bytes(1))?;
        at_least("concurrencyMax", self.concurrency_max, 1)?;
        at_least("queueMax", self.queue_max, 1)?;
        unless(shrink_at == Percentage::ZERO, "shrinkAt", || {
            ("0% of the quota is nothing".to_owned(), "raise it".to_owned())
        })?;
        unless(grow_below > shrink_at, "growBelow", || {
            let problem = format!("{grow_below} is more than `shrinkAt`, {shrink_at}");
            (problem, "lower it, or raise `shrinkAt`".to_owned())
        })?;
        lasts("sampleEvery", self.sample_every, SAMPLE_EVERY_MIN)?;
        unless(need_min > quota, "needMin", || {
            let problem = format!("{need_min} is more than the quota, {quota}");
            (problem, "lower it, or raise `quota`".to_owned())
        })
    }

    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        Self {
            concurrency_max: self.concurrency_max.max(1),
            queue_max: self.queue_max.max(1),
            grow_below: self.grow_below.min(self.shrink_at),
            sample_every: self.sample_every.max(SAMPLE_EVERY_MIN),
            ..self
        }
    }

    /// Returns the bytes that reservations may fill.
    pub(super) fn fill(&self) -> u64 {
        share(self.quota.bytes(), self.shrink_at)
    }
}

/// Returns that share of `bytes`.
pub(super) fn share(bytes: u64, share: Percentage) -> u64 {
    (bytes as f64 * share.ratio()) as u64
}
