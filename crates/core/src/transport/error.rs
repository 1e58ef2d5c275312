use std::time::Duration;

use steadfast_base::{Class, Classify};

use crate::store;

/// Why a transport did not do what was asked. No message holds a credential.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side cannot be reached or does not answer: ask again after a back-off. Whether events that were
    /// being sent have arrived is unknown; sending them again can make duplicates unless the transport
    /// [deduplicates](super::Capabilities::deduplicates).
    #[error("{system} is unavailable: {reason}")]
    Unavailable {
        /// The system, such as `redis`.
        system: &'static str,
        /// What happened.
        reason: String,
    },
    /// The other side takes no more for now (back-pressure): nothing was sent; ask again later.
    #[error("{system} takes no more for now")]
    Overloaded {
        /// The system.
        system: &'static str,
        /// How long it asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The other side refused the credentials or the permission: correct them.
    #[error("{system} denies access: {reason}")]
    Denied {
        /// The system.
        system: &'static str,
        /// What it said.
        reason: String,
    },
    /// The request can never be served, such as an event that is too large: change it.
    #[error("{system} rejects the request: {reason}")]
    Rejected {
        /// The system.
        system: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The transport cannot do this at all: ask for less, or use another one.
    #[error("{system} cannot provide {what}")]
    Unsupported {
        /// The system.
        system: &'static str,
        /// What was asked for.
        what: String,
    },
    /// The configuration is wrong: mend the field.
    #[error("configuration of {system}: {field}: {problem}")]
    Configuration {
        /// The system.
        system: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The receiver or sink has been closed.
    #[error("the transport is closed")]
    Closed,
    /// The deadline passed first. Whether events that were being sent have arrived is unknown.
    #[error("the deadline passed before {system} answered")]
    DeadlineExceeded {
        /// The system.
        system: &'static str,
    },
}

impl Error {
    /// Puts an error of the event store that the transport `system` stands on as a transport says it.
    pub(crate) fn of_store(system: &'static str, error: &store::Error) -> Self {
        let reason = error.to_string();
        match error {
            store::Error::Closed => Self::Closed,
            store::Error::Overloaded => Self::Overloaded { system, retry_after: None },
            store::Error::Unsupported { what } => Self::Unsupported { system, what: what.clone() },
            store::Error::Invalid { .. } | store::Error::Damaged { .. } | store::Error::Conflict { .. } => {
                Self::Rejected { system, reason }
            }
            _ => Self::Unavailable { system, reason },
        }
    }
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Unavailable { .. } | Self::Overloaded { .. } | Self::DeadlineExceeded { .. } => {
                Class::Transient
            }
            _ => Class::Permanent,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
