use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Invalid, serde_as_text};

/// The identity of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(Uuid);

impl OrderId {
    /// Makes a new identity.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Derives the identity from the key of the command that creates the order, so that the store itself
    /// recognises a repetition: it is the same stream.
    pub fn from_key(key: &str) -> Self {
        let digest = Sha256::new().chain_update("orders/").chain_update(key).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // One spelling alone, for the identity is part of names that are compared as text.
        match Uuid::try_parse(text) {
            Ok(uuid) if uuid.hyphenated().to_string() == text => Ok(Self(uuid)),
            _ => Err(Invalid::new("order id", "write a UUID in lower case with hyphens")),
        }
    }
}

serde_as_text!(OrderId);

/// Names a short text without control characters.
macro_rules! short_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                if text.trim().is_empty() || text.len() > $max || text.chars().any(char::is_control) {
                    let problem = concat!("it must have 1 to ", $max, " bytes and no control characters");
                    return Err(Invalid::new($what, problem));
                }
                Ok(Self(text.into()))
            }
        }

        serde_as_text!($name);
    };
}

short_text!(
    /// The identity of a customer, as the shop gives it: 1 to 64 bytes.
    CustomerId, "customer id", 64
);
short_text!(
    /// The number by which stock is kept: 1 to 128 bytes.
    Sku, "SKU", 128
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_has_one_spelling_and_follows_its_key() {
        let id = OrderId::from_key("k1");
        assert_eq!(id, OrderId::from_key("k1"));
        assert_ne!(id, OrderId::from_key("k2"));
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [id.to_string().to_uppercase(), id.to_string().replace('-', ""), "../x".to_owned()] {
            assert!(bad.parse::<OrderId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        for bad in ["", "  ", "a\nb", "\u{0}", &"x".repeat(129)] {
            assert!(bad.parse::<Sku>().is_err(), "{bad:?}");
        }
        assert_eq!("SKU2006-001".parse::<Sku>().expect("valid").as_str(), "SKU2006-001");
        assert!(serde_json::from_str::<CustomerId>("\"\"").is_err());
    }
}
