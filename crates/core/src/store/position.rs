use std::fmt;
use std::str::FromStr;

/// A place in the order over all events of one store. Opaque but for its order: a number in the file log, a
/// transaction and a sequence in PostgreSQL. Numbers may have holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    major: u64,
    minor: u64,
}

impl Position {
    /// Before the first event.
    pub const START: Self = Self { major: 0, minor: 0 };

    /// Makes a position from a store's own numbers, which must order as the events do. For stores alone.
    pub const fn from_parts(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// Returns the store's own numbers. For stores alone.
    pub const fn parts(self) -> (u64, u64) {
        (self.major, self.minor)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.minor == 0 { write!(f, "{}", self.major) } else { write!(f, "{}.{}", self.major, self.minor) }
    }
}

impl FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { major: major.parse()?, minor: minor.parse()? })
    }
}

/// The number of an event within its stream: 0, 1, 2, … without holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Returns the revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_survive_text_and_order_by_their_parts(a: (u64, u64), b: (u64, u64)) {
            let [first, second] = [a, b].map(|(major, minor)| Position::from_parts(major, minor));
            prop_assert_eq!(first.to_string().parse(), Ok(first));
            prop_assert_eq!(first.cmp(&second), a.cmp(&b));
            prop_assert!(first >= Position::START);
        }
    }

    #[test]
    fn other_text_is_no_position() {
        for text in ["", ".", "1.", "1.2.3", "-1", "x"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
