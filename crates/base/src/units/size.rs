use std::fmt;
use std::str::FromStr;

use super::scan::Scan;
use super::{UnitError, serde_as_text};

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// An amount of data in bytes, with the units `B`, `kB`, `MB`, `GB`, `TB` and `KiB`, `MiB`, `GiB`, `TiB`.
///
/// # Examples
/// ```
/// use steadfast_base::units::Size;
///
/// let size: Size = "64MiB".parse()?;
/// assert_eq!(size.bytes(), 64 << 20);
/// assert_eq!(size.to_string(), "64MiB");
/// # Ok::<(), steadfast_base::units::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

impl Size {
    /// Creates a size of `bytes`.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Creates a size of `mebibytes` × 2²⁰ bytes.
    pub const fn from_mebibytes(mebibytes: u32) -> Self {
        Self((mebibytes as u64) << 20)
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scan =
            Scan { what: "size", mend: "write a number and a unit, such as 512B, 64KiB or 10MB", text };
        let (digits, unit_at) = scan.number(0)?;
        let (unit, end) = scan.unit(unit_at);
        if unit.is_empty() {
            return Err(scan.error(unit_at, "has no unit"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit || (unit == "KB" && *name == "kB"));
        let (_, scale) = known.ok_or_else(|| scan.error(unit_at, format!("unknown unit `{unit}`")))?;
        if end != text.len() {
            return Err(scan.error(end, "something stands behind the unit"));
        }
        scan.scaled(digits, *scale, 0).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS.iter().find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        let (name, scale) = fits.copied().unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / scale)
    }
}

serde_as_text!(Size, "a size with a unit, such as 512B, 64KiB or 10MB");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset) in [("", 0), ("12", 2), ("1Zb", 1), ("1.5B", 0), ("1MB ", 3)] {
            assert_eq!(text.parse::<Size>().expect_err(text).offset, offset, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64) {
            let size = Size::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Size>();
        }
    }
}
