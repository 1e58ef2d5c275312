//! Values that cannot be built invalid: whoever holds one need not check it again.

mod currency;
mod identity;
mod money;
mod quantity;

pub use currency::Currency;
pub use identity::CustomerId;
pub use identity::OrderId;
pub use identity::Sku;
pub use money::Money;
pub use quantity::Quantity;

/// Why a value cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}: {problem}")]
pub struct Invalid {
    /// What was to be built.
    pub what: &'static str,
    /// What is wrong, and what is right.
    pub problem: String,
}

impl Invalid {
    fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }
}

/// Implements serde by way of `Display` and `FromStr`, so that reading validates.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use serde_as_text;
