use std::fmt;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// How many pieces: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Quantity(u32);

impl Quantity {
    /// The largest quantity.
    pub const MAX: u32 = 1_000_000;

    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Quantity {
    type Error = Invalid;

    fn try_from(count: u32) -> Result<Self, Invalid> {
        if (1..=Self::MAX).contains(&count) {
            Ok(Self(count))
        } else {
            Err(Invalid::new("quantity", format!("it must be 1 to {}", Self::MAX)))
        }
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_bounds() {
        assert!(Quantity::try_from(0).is_err());
        assert!(Quantity::try_from(Quantity::MAX + 1).is_err());
        assert_eq!(Quantity::try_from(Quantity::MAX).map(Quantity::get), Ok(Quantity::MAX));
        assert!(serde_json::from_str::<Quantity>("0").is_err());
    }
}
