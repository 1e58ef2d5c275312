use std::io;
use std::sync::Arc;

use steadfast_base::{Class, Classify};

use super::{CipherError, KeyId};
use crate::store::{self, Outcome};

/// Why a key could not be had, or not be forgotten.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The key is not here, and was not forgotten here: see that this is the store of keys that belongs to the events.
    #[error("key `{id}` of `{owner}` is not in this store of keys, which has not forgotten it either")]
    Missing {
        /// Whose key.
        owner: Arc<str>,
        /// Which.
        id: KeyId,
    },
    /// These keys cannot do that at all.
    #[error("these keys cannot be {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// An owner cannot be named so.
    #[error("`{owner}` cannot own keys: {reason}")]
    Owner {
        /// The name.
        owner: Arc<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something else than a key stands where a key is kept.
    #[error("what is kept as key `{id}` of `{owner}` is none")]
    NoKey {
        /// Whose key.
        owner: Arc<str>,
        /// Which.
        id: KeyId,
    },
    /// A key could not be made.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// The store of keys failed.
    #[error("the store of keys: {0}")]
    Store(#[from] store::Error),
    /// The place of the keys failed.
    #[error("keys cannot be reached: {reason}")]
    Unreachable {
        /// What it said.
        reason: String,
        /// Whether trying again can help.
        retryable: bool,
    },
}

impl Classify for KeysError {
    fn classify(&self) -> Class {
        match self {
            Self::Store(error) => error.classify(),
            Self::Owner { .. } => Class::Success,
            Self::Unreachable { retryable: true, .. } => Class::Transient,
            _ => Class::Permanent,
        }
    }
}

impl KeysError {
    /// Says what it means to whoever appends or reads events; nothing was appended.
    pub(super) fn into_store(self, place: impl FnOnce() -> String) -> store::Error {
        match self {
            Self::Missing { .. } | Self::NoKey { .. } => {
                store::Error::Damaged { place: place(), problem: self.to_string() }
            }
            Self::Owner { .. } => store::Error::Invalid { reason: self.to_string() },
            Self::Store(store::Error::Overloaded) | Self::Unreachable { retryable: true, .. } => {
                store::Error::Overloaded
            }
            other => {
                store::Error::io("getting a key", io::Error::other(other.to_string()), Outcome::NotAppended)
            }
        }
    }
}
