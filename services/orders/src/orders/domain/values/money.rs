use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Currency, Invalid};

/// An amount that is not negative, in whole minor units of its currency: no rounding anywhere.
///
/// # Examples
/// ```
/// use orders::orders::domain::Money;
///
/// let price = Money::parse("404.95", "EUR".parse()?)?;
/// assert_eq!(price.amount_minor(), 40_495);
/// assert_eq!(price.to_string(), "404.95 EUR");
/// # Ok::<(), orders::orders::domain::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Plain", into = "Plain")]
pub struct Money {
    amount_minor: i64,
    currency: Currency,
}

impl Money {
    /// Makes an amount of `amount_minor` minor units.
    ///
    /// # Errors
    /// [`Invalid`] when it is negative.
    pub fn new(amount_minor: i64, currency: Currency) -> Result<Self, Invalid> {
        if amount_minor < 0 {
            return Err(Invalid::new("amount", "it must not be negative"));
        }
        Ok(Self { amount_minor, currency })
    }

    /// Reads a decimal number such as `404.95`.
    ///
    /// # Errors
    /// [`Invalid`] for anything but digits and one point, for more digits than the currency has and for an
    /// amount too large.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, Invalid> {
        let wrong = |problem: &str| Invalid::new("amount", problem);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(wrong("write digits and at most one point, such as 404.95"));
        }
        let width = usize::from(currency.minor_digits());
        // More digits than the currency has would be rounded; zeros lose nothing.
        let (kept, dropped) = fraction.split_at(fraction.len().min(width));
        if dropped.bytes().any(|byte| byte != b'0') {
            return Err(wrong("it has more decimals than its currency"));
        }
        let minor: i64 = format!("{whole}{kept:0<width$}").parse().map_err(|_| wrong("it is too large"))?;
        Self::new(minor, currency)
    }

    /// Returns the amount in minor units.
    pub fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    /// Returns the currency.
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = usize::from(self.currency.minor_digits());
        let scale = 10_i64.pow(u32::from(self.currency.minor_digits()));
        let (whole, rest) = (self.amount_minor / scale, self.amount_minor % scale);
        if width == 0 {
            return write!(f, "{whole} {}", self.currency);
        }
        write!(f, "{whole}.{rest:0width$} {}", self.currency)
    }
}

impl FromStr for Money {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (amount, currency) = text
            .split_once(' ')
            .ok_or_else(|| Invalid::new("money", "write an amount and a currency, such as 404.95 EUR"))?;
        Self::parse(amount, currency.parse()?)
    }
}

/// How money is written in events.
#[derive(Serialize, Deserialize)]
struct Plain {
    amount_minor: i64,
    currency: Currency,
}

impl TryFrom<Plain> for Money {
    type Error = Invalid;

    fn try_from(plain: Plain) -> Result<Self, Invalid> {
        Self::new(plain.amount_minor, plain.currency)
    }
}

impl From<Money> for Plain {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_would_be_rounded_or_guessed() {
        let parse = |text: &str, code: &str| Money::parse(text, code.parse().expect("a code"));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1,00", "1e3", "0.001", " 1", "99999999999999999999"] {
            assert!(parse(bad, "EUR").is_err(), "{bad}");
        }
        assert_eq!(parse("5.0000", "EUR").map(Money::amount_minor), Ok(500));
        assert_eq!(parse("5.5", "EUR").map(Money::amount_minor), Ok(550));
        assert_eq!(parse("5", "JPY").map(|m| m.to_string()), Ok("5 JPY".to_owned()));
        assert_eq!(parse("5.125", "KWD").map(Money::amount_minor), Ok(5_125));
        assert!(Money::new(-1, "EUR".parse().expect("a code")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minor in 0_i64..=i64::MAX, code in "EUR|JPY|KWD") {
            let money = Money::new(minor, code.parse().expect("a code")).expect("not negative");
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
            let json = serde_json::to_string(&money).expect("it can be written");
            prop_assert_eq!(serde_json::from_str::<Money>(&json).expect("it can be read"), money);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Money>();
        }
    }
}
