use std::time::{Duration, SystemTime, UNIX_EPOCH};

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use steadfast_core::transport::Error;

use super::{SYSTEM, Schedule, zone};

/// The due times of a schedule, looked up in both directions. Times before 1970 are not ticks.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    Every(Duration),
    Cron(Box<Cron>, TimeZone),
}

impl Plan {
    pub(super) fn new(schedule: &Schedule) -> Result<Self, Error> {
        let wrong = |field, problem: String| Error::Configuration { system: SYSTEM, field, problem };
        match schedule {
            Schedule::Every(interval) if interval.0 < Duration::from_millis(1) => {
                Err(wrong("schedule.every", "is less than 1ms".to_owned()))
            }
            Schedule::Every(interval) => Ok(Self::Every(interval.0)),
            Schedule::Cron { expression, time_zone } => {
                let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Optional).build();
                let cron = parser
                    .parse(expression)
                    .map_err(|error| wrong("schedule.cron.expression", format!("`{expression}`: {error}")))?;
                let zone = zone::find(time_zone).ok_or_else(|| {
                    let problem = format!(
                        "`{time_zone}` is not in the time zone database: write it as `Europe/Berlin`"
                    );
                    wrong("schedule.cron.timeZone", problem)
                })?;
                Ok(Self::Cron(Box::new(cron), zone))
            }
        }
    }

    /// Returns the first due time after `time`; none once there are no more.
    pub(super) fn next(&self, time: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Every(interval) => multiple(count(time, *interval).checked_add(1)?, *interval),
            Self::Cron(cron, zone) => {
                // A second that has begun is over for cron: its tick was at its beginning.
                let next = cron.find_next_occurrence(&zoned(time, zone)?, false).ok()?;
                SystemTime::from(next.timestamp()).into()
            }
        }
    }

    /// Returns the last due time at or before `time`.
    pub(super) fn last(&self, time: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Every(interval) => multiple(count(time, *interval), *interval),
            Self::Cron(cron, zone) => {
                let last = cron.find_previous_occurrence(&zoned(time, zone)?, true).ok()?;
                let last = SystemTime::from(last.timestamp());
                (last >= UNIX_EPOCH).then_some(last)
            }
        }
    }

    /// Returns the last due time before `time`.
    pub(super) fn before(&self, time: SystemTime) -> Option<SystemTime> {
        self.last(time.checked_sub(Duration::from_nanos(1)).filter(|before| *before >= UNIX_EPOCH)?)
    }
}

/// How many whole intervals lie between 1970 and `time`.
fn count(time: SystemTime, interval: Duration) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() / interval.as_nanos()
}

fn multiple(count: u128, interval: Duration) -> Option<SystemTime> {
    let nanos = count.checked_mul(interval.as_nanos())?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// Cron counts in whole seconds.
fn zoned(time: SystemTime, zone: &TimeZone) -> Option<Zoned> {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Some(Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_zoned(zone.clone()))
}
