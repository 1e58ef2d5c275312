use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;

/// A timer.
///
/// # Examples
/// ```
/// use steadfast_backends::timer::{Config, Missed};
///
/// let config: Config = serde_json::from_str(
///     r#"{"name": "report", "missed": {"all": {"max": 7}},
///         "schedule": {"cron": {"expression": "30 6 * * MON-FRI", "timeZone": "Europe/Berlin"}}}"#,
/// )?;
/// assert_eq!(config.missed, Missed::All { max: 7 });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The timer's name: the subject of its ticks.
    pub name: String,
    /// When it ticks.
    pub schedule: Schedule,
    /// What becomes of ticks that are missed.
    #[serde(default)]
    pub missed: Missed,
    /// After what time a tick that was not handed out is missed.
    #[serde(default = "late_after")]
    pub late_after: HumanDuration,
    /// By how much each tick is delayed at most, drawn from the seed and the tick's time; for many timers that must
    /// not tick in the same moment. It should be less than what lies between two ticks.
    #[serde(default)]
    pub jitter: HumanDuration,
    /// What jitter is drawn from; none draws it from the operating system.
    #[serde(default)]
    pub seed: Option<u64>,
    /// How many ticks a group may have that are not settled, at least 1. With 1 no two ticks are handled at the same
    /// time; those that come due meanwhile may be missed.
    #[serde(default = "unsettled_max")]
    pub unsettled_max: usize,
    /// The attribute `source` of ticks.
    #[serde(default = "source")]
    pub source: String,
    /// The attribute `type` of ticks.
    #[serde(default = "kind", rename = "type")]
    pub kind: String,
    /// How often the wall clock is looked at while waiting, at least 1 ms: so late a clock that was set is noticed.
    #[serde(default = "look_every")]
    pub look_every: HumanDuration,
}

impl Config {
    /// Makes a timer called `name` with the usual settings: a missed tick is made up for once, after a second; no
    /// jitter; one tick at a time.
    pub fn new(name: impl Into<String>, schedule: Schedule) -> Self {
        Self {
            name: name.into(),
            schedule,
            missed: Missed::default(),
            late_after: late_after(),
            jitter: HumanDuration::default(),
            seed: None,
            unsettled_max: unsettled_max(),
            source: source(),
            kind: kind(),
            look_every: look_every(),
        }
    }
}

/// When a timer ticks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Schedule {
    /// At each multiple of this time since 1970-01-01T00:00:00Z, at least 1 ms.
    Every(HumanDuration),
    /// By a cron expression of five fields (minute, hour, day of month, month, day of week), of six with seconds
    /// before them, or of seven with years behind them: the Open Cron Pattern Specification with `L`, `W` and `#`.
    ///
    /// Where daylight saving time begins, the clock skips an hour, and repeats one where it ends:
    /// - An expression with one second, minute and hour (`30 2 * * *`) ticks once a day: at the first moment after
    ///   the gap if its time is skipped, at the first of both if its time is repeated.
    /// - Any other (`*/15 * * * *`, `0 1-3 * * *`) follows the clock on the wall: nothing at times that are skipped,
    ///   twice at times that are repeated.
    Cron {
        /// The expression.
        expression: String,
        /// A name of the time zone database, such as `Europe/Berlin`. The system's database is used, else the one
        /// that is built in.
        #[serde(default = "utc")]
        time_zone: String,
    },
}

/// What becomes of ticks that are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Missed {
    /// They are left out.
    Skip,
    /// The newest is made up for, those before it are left out.
    #[default]
    Once,
    /// The newest are made up for, in order.
    All {
        /// How many at most.
        max: usize,
    },
}

fn late_after() -> HumanDuration {
    HumanDuration(Duration::from_secs(1))
}

fn look_every() -> HumanDuration {
    HumanDuration(Duration::from_secs(1))
}

fn unsettled_max() -> usize {
    1
}

fn source() -> String {
    "/timer".to_owned()
}

fn kind() -> String {
    "timer.tick".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}
