use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::scan::Scan;
use super::{UnitError, serde_as_text};

/// How often something happens, with the units `/s`, `/m` and `/h`.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::units::Rate;
///
/// let rate: Rate = "200/s".parse()?;
/// assert_eq!(rate.per_second(), 200.0);
/// assert_eq!(rate.interval(), Some(Duration::from_millis(5)));
/// # Ok::<(), steadfast_base::units::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rate {
    /// Thousandths of an occurrence, so that equality is exact.
    milli: u64,
    per: Per,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Per {
    #[default]
    Second,
    Minute,
    Hour,
}

impl Per {
    fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3600.0,
        }
    }
}

impl Rate {
    /// Creates a rate of `count` per second.
    ///
    /// # Panics
    /// When `count` × 1000 does not fit 64 bits.
    pub const fn per_second_of(count: u64) -> Self {
        Self { milli: count * 1000, per: Per::Second }
    }

    /// Returns the number of occurrences per second.
    pub fn per_second(self) -> f64 {
        self.milli as f64 / 1000.0 / self.per.seconds()
    }

    /// Creates a rate of `count` per second, minute or hour, whichever `window` is a whole number of; none if `window`
    /// is no whole number of seconds or the rate has more than three decimal places.
    pub fn per_window(count: u32, window: Duration) -> Option<Self> {
        let seconds = window.as_secs();
        if seconds == 0 || window.subsec_nanos() > 0 {
            return None;
        }
        let count = u64::from(count) * 1000;
        [(1, Per::Second), (60, Per::Minute), (3600, Per::Hour)].into_iter().find_map(|(per, unit)| {
            let total = count * per;
            total.is_multiple_of(seconds).then_some(Self { milli: total / seconds, per: unit })
        })
    }

    /// Returns the rate as so many whole occurrences in a time, which is as short as the unit allows; none for a rate of
    /// zero and for one that does not fit.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use steadfast_base::units::Rate;
    ///
    /// let window = |text: &str| text.parse::<Rate>().ok()?.window();
    /// assert_eq!(window("30/m"), Some((30, Duration::from_secs(60))));
    /// assert_eq!(window("0.5/s"), Some((1, Duration::from_secs(2))));
    /// ```
    pub fn window(self) -> Option<(u32, Duration)> {
        let seconds = match self.per {
            Per::Second => 1,
            Per::Minute => 60,
            Per::Hour => 3600,
        };
        let (mut count, mut thousandths) = (self.milli, 1000_u64);
        for divisor in [2, 2, 2, 5, 5, 5] {
            if count.is_multiple_of(divisor) && thousandths.is_multiple_of(divisor) {
                (count, thousandths) = (count / divisor, thousandths / divisor);
            }
        }
        let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
        Some((count, Duration::from_secs(seconds * thousandths)))
    }

    /// Returns the time between two occurrences; none for a rate of zero.
    pub fn interval(self) -> Option<Duration> {
        (self.milli > 0).then(|| Duration::from_secs_f64(1.0 / self.per_second()))
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scan =
            Scan { what: "rate", mend: "write a number per unit of time, such as 200/s or 30/m", text };
        let (digits, slash) = scan.number(0)?;
        let per = match &text[slash..] {
            "/s" => Per::Second,
            "/m" | "/min" => Per::Minute,
            "/h" => Per::Hour,
            "" => return Err(scan.error(slash, "has no unit")),
            other => return Err(scan.error(slash, format!("unknown unit `{other}`"))),
        };
        Ok(Self { milli: scan.scaled(digits, 1000, 0)?, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "s",
            Per::Minute => "m",
            Per::Hour => "h",
        };
        let (whole, milli) = (self.milli / 1000, self.milli % 1000);
        if milli == 0 {
            write!(f, "{whole}/{per}")
        } else {
            let fraction = format!("{milli:03}");
            write!(f, "{whole}.{}/{per}", fraction.trim_end_matches('0'))
        }
    }
}

serde_as_text!(Rate, "a rate with a unit, such as 200/s or 30/m");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in [("", 0), ("200", 3), ("/s", 0), ("1/x", 1), ("1.2345/s", 0)] {
            assert_eq!(text.parse::<Rate>().expect_err(text).offset, offset, "{text}");
        }
        assert_eq!("0/s".parse::<Rate>().map(Rate::interval), Ok(None));
        assert_eq!("30/m".parse::<Rate>().map(Rate::per_second), Ok(0.5));
    }

    proptest! {
        #[test]
        fn a_window_says_the_same_as_the_rate(milli in 1_u64..100_000_000) {
            for per in [Per::Second, Per::Minute, Per::Hour] {
                let rate = Rate { milli, per };
                let (count, window) = rate.window().expect("it fits");
                let per_second = f64::from(count) / window.as_secs_f64();
                prop_assert!((per_second / rate.per_second() - 1.0).abs() < 1e-9);
                let again = Rate::per_window(count, window).expect("it is one");
                prop_assert!((again.per_second() / rate.per_second() - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn what_is_written_is_read_back(milli in 0_u64..1_000_000_000) {
            let rate = Rate { milli, per: Per::Minute };
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }
}
