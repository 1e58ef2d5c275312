use std::fmt;
use std::str::FromStr;

use super::scan::Scan;
use super::{UnitError, serde_as_text};

/// One hundred percent in the fixed-point unit: millionths of a percent.
const FULL: u64 = 100_000_000;

/// A share between 0 % and 100 %, exact to a millionth of a percent.
///
/// # Examples
/// ```
/// use steadfast_base::units::Percentage;
///
/// let objective: Percentage = "99.9%".parse()?;
/// assert_eq!(objective.ratio(), 0.999);
/// assert_eq!(objective.to_string(), "99.9%");
/// assert!("101%".parse::<Percentage>().is_err());
/// # Ok::<(), steadfast_base::units::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Percentage(u64);

impl Percentage {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const HUNDRED: Self = Self(FULL);

    /// Creates a percentage from a ratio, cut to 0.0..=1.0; not a number counts as zero.
    pub fn from_ratio(ratio: f64) -> Self {
        Self((ratio.clamp(0.0, 1.0) * FULL as f64).round() as u64)
    }

    /// Returns the share as a ratio between 0.0 and 1.0.
    pub fn ratio(self) -> f64 {
        self.0 as f64 / FULL as f64
    }
}

impl FromStr for Percentage {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mend = "write a number from 0 to 100 and a percent sign, such as 99.9%";
        let scan = Scan { what: "percentage", mend, text };
        let (digits, sign) = scan.number(0)?;
        match &text[sign..] {
            "%" => {}
            "" => return Err(scan.error(sign, "has no percent sign")),
            other => return Err(scan.error(sign, format!("expected `%`, found `{other}`"))),
        }
        let value = scan.scaled(digits, FULL / 100, 0)?;
        if value > FULL { Err(scan.error(0, "is more than 100%")) } else { Ok(Self(value)) }
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / (FULL / 100), self.0 % (FULL / 100));
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let fraction = format!("{rest:06}");
        write!(f, "{whole}.{}%", fraction.trim_end_matches('0'))
    }
}

serde_as_text!(Percentage, "a percentage, such as 99.9%");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in [("", 0), ("99", 2), ("100.1%", 0), ("5 %", 1), ("%", 0)] {
            assert_eq!(text.parse::<Percentage>().expect_err(text).offset, offset, "{text}");
        }
        assert_eq!(Percentage::from_ratio(f64::NAN), Percentage::ZERO);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in 0..=FULL) {
            prop_assert_eq!(Percentage(value).to_string().parse(), Ok(Percentage(value)));
        }
    }
}
