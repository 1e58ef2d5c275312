use steadfast_base::{Class, Classify};

use crate::store;

/// Why a command was not scheduled or cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store did not take it.
    #[error("schedule: {0}")]
    Store(#[from] store::Error),
    /// The time lies before 1970 or too far in the future to be written in milliseconds: choose another.
    #[error("schedule: the time cannot be written; choose one after 1970")]
    Time,
    /// The command cannot be written as JSON, such as a name of an extension that CloudEvents forbids.
    #[error("schedule: the command cannot be written: {reason}")]
    Command {
        /// What is wrong with it.
        reason: String,
    },
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Store(error) => error.classify(),
            Self::Time | Self::Command { .. } => Class::Permanent,
        }
    }
}
