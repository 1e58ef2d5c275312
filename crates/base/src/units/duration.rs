use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::scan::Scan;
use super::{UnitError, serde_as_text};

const MEND: &str = "write a number and a unit, such as 250ms, 1.5s, 2m or 1h30m";

/// Reads a duration: numbers with the units `ns`, `us` or `µs`, `ms`, `s`, `m`, `h`, `d`, each smaller than the
/// one before it.
///
/// # Errors
/// [`UnitError`] for anything else, also for a number without a unit.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::units::parse_duration;
///
/// assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
/// assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(parse_duration("5").unwrap_err().offset, 1);
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let scan = Scan { what: "duration", mend: MEND, text };
    let (mut offset, mut total, mut last_scale) = (0, 0_u64, u64::MAX);
    loop {
        let start = offset;
        let (digits, unit_at) = scan.number(offset)?;
        let (unit, next) = scan.unit(unit_at);
        let scale = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" => return Err(scan.error(unit_at, "has no unit")),
            other => return Err(scan.error(unit_at, format!("unknown unit `{other}`"))),
        };
        if scale >= last_scale {
            return Err(scan.error(unit_at, format!("unit `{unit}` stands behind a smaller or equal one")));
        }
        let part = scan.scaled(digits, scale, start)?;
        total = total.checked_add(part).ok_or_else(|| scan.error(start, "is too large"))?;
        (offset, last_scale) = (next, scale);
        if offset == text.len() {
            return Ok(Duration::from_nanos(total));
        }
    }
}

/// Writes a duration so that [`parse_duration`] reads the same value back.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::units::format_duration;
///
/// assert_eq!(format_duration(Duration::from_millis(1500)), "1.5s");
/// assert_eq!(format_duration(Duration::from_secs(90)), "1m30s");
/// ```
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let decimal = |scale: u128, unit: &str| {
        let (whole, fraction) = (nanos / scale, nanos % scale);
        if fraction == 0 {
            return format!("{whole}{unit}");
        }
        let width = scale.ilog10() as usize;
        let fraction = format!("{fraction:0width$}");
        format!("{whole}.{}{unit}", fraction.trim_end_matches('0'))
    };
    if nanos < 1_000 {
        return format!("{nanos}ns");
    } else if nanos < 1_000_000 {
        return decimal(1_000, "us");
    } else if nanos < 1_000_000_000 {
        return decimal(1_000_000, "ms");
    } else if nanos < 60_000_000_000 || !nanos.is_multiple_of(1_000_000_000) {
        return decimal(1_000_000_000, "s");
    }
    let seconds = duration.as_secs();
    [(3600, "h"), (60, "m"), (1, "s")]
        .iter()
        .scan(seconds, |rest, (scale, unit)| {
            let count = *rest / scale;
            *rest %= scale;
            Some(if count == 0 { String::new() } else { format!("{count}{unit}") })
        })
        .collect()
}

/// A duration that is read and written as people write it, for configuration and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self)
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

serde_as_text!(HumanDuration, "a duration with a unit, such as 250ms, 1.5s or 2m");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in [
            ("", 0),
            ("5", 1),
            ("s", 0),
            ("1x", 1),
            ("1.s", 0),
            ("1s2m", 3),
            ("-1s", 0),
            ("1 s", 1),
            ("1h5", 3),
        ] {
            let error = parse_duration(text).expect_err(text);
            assert_eq!(error.offset, offset, "{error}");
        }
    }

    #[test]
    fn too_much_is_an_error_and_not_an_overflow() {
        assert!(parse_duration("99999999999999999999s").is_err());
        assert!(parse_duration("300000d300000h").is_err());
        assert!(parse_duration("0.0000000001s").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0_u64..u64::MAX / 2) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse_duration(&text);
        }
    }
}
