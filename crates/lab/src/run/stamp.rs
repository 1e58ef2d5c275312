//! Wall time as reports and folders write it: RFC 3339 in UTC.

use std::time::{Duration, SystemTime};

/// Writes `time` as `2026-01-02T03:04:05Z`; before 1970 counts as 1970.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let (year, month, day, second) = civil(time);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Writes `time` for the name of a folder, as `20260102T030405Z`.
pub fn folder_stamp(time: SystemTime) -> String {
    rfc3339(time).replace(['-', ':'], "")
}

/// Splits a time into year, month, day and second of the day, by the algorithm `civil_from_days` of Howard Hinnant
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn civil(time: SystemTime) -> (u64, u64, u64, u64) {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day, seconds % 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(rfc3339(at(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(at(951_782_400)), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(at(1_000_000_000)), "2001-09-09T01:46:40Z");
        assert_eq!(folder_stamp(at(1_735_689_599)), "20241231T235959Z");
    }
}
