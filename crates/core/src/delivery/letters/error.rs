use std::fmt::Display;

use steadfast_base::{Class, Classify};

/// Why dead letters were not kept or not found.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no room: replay or remove letters, or make more room.
    #[error("{capacity} dead letters are kept already: replay or remove some")]
    Full {
        /// How many letters may be kept.
        capacity: usize,
    },
    /// What the letters are kept in does not answer: try again later.
    #[error("dead letters are unavailable: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// A letter that was kept cannot be read: repair what it is kept in.
    #[error("a dead letter is damaged: {reason}")]
    Damaged {
        /// What is wrong with which letter.
        reason: String,
    },
}

impl Error {
    /// Says that what the letters are kept in does not answer.
    pub fn unavailable(reason: impl Display) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Full { .. } | Self::Unavailable { .. } => Class::Transient,
            Self::Damaged { .. } => Class::Permanent,
        }
    }
}
