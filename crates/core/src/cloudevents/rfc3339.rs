//! Times as RFC 3339 writes them, in UTC and with as many digits of a second as there are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;
/// The first moment of year 0 and the first one after year 9999, in seconds since 1970.
const FIRST: i64 = -719_528 * DAY;
const END: i64 = 2_932_897 * DAY;

/// Writes `time` in UTC, with 0, 3, 6 or 9 digits of a second. A time before year 0 or after year 9999, which RFC 3339
/// cannot write, becomes the first or the last one that it can.
///
/// # Examples
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use steadfast_core::cloudevents::rfc3339;
///
/// let time = UNIX_EPOCH + Duration::from_millis(1_790_000_000_500);
/// assert_eq!(rfc3339::format(time), "2026-09-21T14:13:20.500Z");
/// assert_eq!(rfc3339::parse("2026-09-21T16:13:20.5+02:00"), Some(time));
/// ```
pub fn format(time: SystemTime) -> String {
    let (seconds, nanos) = since_epoch(time);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    match nanos {
        0 => {}
        _ if nanos % 1_000_000 == 0 => text.push_str(&format!(".{:03}", nanos / 1_000_000)),
        _ if nanos % 1_000 == 0 => text.push_str(&format!(".{:06}", nanos / 1_000)),
        _ => text.push_str(&format!(".{nanos:09}")),
    }
    text.push('Z');
    text
}

/// Reads a time of RFC 3339; none where it is not one. Digits beyond nanoseconds are cut; a leap second is the second
/// after it, as in POSIX time.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (day, rest) = (text.get(..10)?.as_bytes(), text.as_bytes().get(10..)?);
    let (year, month, date) = (number(&day[..4])?, number(&day[5..7])?, number(&day[8..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day[4] != b'-' || day[7] != b'-' || !(1..=days).contains(&date) {
        return None;
    }
    let [b'T' | b't', clock @ ..] = rest else { return None };
    let (clock, rest) = clock.split_at_checked(8)?;
    let (hour, minute, second) = (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..])?);
    if clock[2] != b':' || clock[5] != b':' || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, rest) = fraction(rest)?;
    let seconds =
        days_from_civil(year, month, date) * DAY + hour * 3600 + minute * 60 + second - offset(rest)?;
    // A leap second stands at the end of a day in UTC only.
    if second == 60 && seconds.rem_euclid(DAY) != 0 {
        return None;
    }
    from_epoch(seconds, nanos)
}

fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.', text @ ..] = text else { return Some((0, text)) };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let digit = |at: usize| text[..length].get(at).map_or(0, |digit| u32::from(digit - b'0'));
    Some(((0..9).fold(0, |nanos, at| nanos * 10 + digit(at)), &text[length..]))
}

fn offset(text: &[u8]) -> Option<i64> {
    match text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), hour @ .., b':', tens, units] => {
            let (hour, minute) = (number(hour)?, number(&[*tens, *units])?);
            let valid = text.len() == 6 && hour < 24 && minute < 60;
            let offset = hour * 3600 + minute * 60;
            valid.then_some(if *sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn since_epoch(time: SystemTime) -> (i64, u32) {
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => (-seconds, 0),
                nanos => (-seconds - 1, 1_000_000_000 - nanos),
            }
        }
    };
    match seconds {
        ..FIRST => (FIRST, 0),
        END.. => (END - 1, 999_999_999),
        _ => (seconds, nanos),
    }
}

fn from_epoch(seconds: i64, nanos: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    second?.checked_add(Duration::from_nanos(nanos.into()))
}

/// Returns the day since 1970 of a date of the Gregorian calendar: `days_from_civil` of Howard Hinnant,
/// *chrono-Compatible Low-Level Date Algorithms* (<https://howardhinnant.github.io/date_algorithms.html>).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns year, month and day of a day since 1970: `civil_from_days` of the same article.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64, nanos: u32) -> SystemTime {
        from_epoch(seconds, nanos).expect("in range")
    }

    #[test]
    fn times_are_written_as_others_write_them() {
        // By `date -u -d @SECONDS +%FT%TZ` of GNU coreutils.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (-2_208_988_801, "1899-12-31T23:59:59Z"),
            (FIRST, "0000-01-01T00:00:00Z"),
            (END - 1, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(format(at(seconds, 0)), text);
            assert_eq!(parse(text), Some(at(seconds, 0)), "{text}");
        }
        assert_eq!(format(at(END, 0)), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(format(at(FIRST - 1, 7)), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        // The calendar by counting, which is slow and plain.
        let (mut year, mut month, mut date) = (0, 1, 1);
        for day in FIRST / DAY..END / DAY {
            assert_eq!(civil(day), (year, month, date));
            assert_eq!(days_from_civil(year, month, date), day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            date += 1;
            if date > days[usize::try_from(month).expect("positive") - 1] {
                (month, date) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!(year, 10_000);
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // Section 5.8 of RFC 3339.
        assert_eq!(parse("1985-04-12T23:20:50.52Z"), Some(at(482_196_050, 520_000_000)));
        assert_eq!(parse("1996-12-19T16:39:57-08:00"), parse("1996-12-20T00:39:57Z"));
        assert_eq!(parse("1990-12-31T23:59:60Z"), parse("1991-01-01T00:00:00Z"));
        assert_eq!(parse("1990-12-31T15:59:60-08:00"), parse("1991-01-01T00:00:00Z"));
        assert_eq!(parse("1937-01-01T12:00:27.87+00:20"), parse("1937-01-01t11:40:27.87z"));
        assert_eq!(parse("1985-04-12T23:20:50.1234567891Z"), Some(at(482_196_050, 123_456_789)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "2026-04-01 00:00:00Z",
            "2026-04-01T24:00:00Z",
            "2026-04-01T00:60:00Z",
            "2026-04-01T00:00:61Z",
            "2026-04-01T12:00:60Z",
            "2026-04-01T00:00:00",
            "2026-04-01T00:00:00.Z",
            "2026-04-01T00:00:00+0200",
            "2026-04-01T00:00:00+24:00",
            "2026-04-01T00:00:00+:00",
            "2026-04-01T00:00:00Zx",
            "+026-04-01T00:00:00Z",
            "2026/04/01T00:00:00Z",
            "2026-04-0é",
            "２026-04-01T00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(seconds in FIRST..END, nanos in 0_u32..1_000_000_000, cut in 0_u32..3) {
            let nanos = nanos / 1000_u32.pow(cut) * 1000_u32.pow(cut);
            let time = at(seconds, nanos);
            prop_assert_eq!(parse(&format(time)), Some(time));
        }

        #[test]
        fn nothing_makes_it_panic(text: String, near in "[0-9T:.Z+-]{0,32}") {
            let _ = (parse(&text), parse(&near));
        }
    }
}
