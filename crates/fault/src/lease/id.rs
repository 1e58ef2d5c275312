use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a lease: 1 to 128 letters, digits, or `.`, `_`, `:`, `/`, `-`.
///
/// # Examples
/// ```
/// use steadfast_fault::LeaseId;
///
/// assert_eq!("run-7/slow".parse::<LeaseId>()?.as_str(), "run-7/slow");
/// assert!("two words".parse::<LeaseId>().is_err());
/// # Ok::<(), steadfast_fault::InvalidLeaseId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseId(Arc<str>);

impl LeaseId {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<LeaseId> for String {
    fn from(id: LeaseId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// A text that cannot name a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a lease id is 1 to 128 letters, digits, or one of . _ : / -")]
pub struct InvalidLeaseId;

impl FromStr for LeaseId {
    type Err = InvalidLeaseId;

    // The characters are such that an id can stand in an HTTP header and in `grpc-message` as it is.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidLeaseId)
        }
    }
}

impl TryFrom<String> for LeaseId {
    type Error = InvalidLeaseId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
