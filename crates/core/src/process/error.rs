use std::sync::Arc;

use steadfast_base::{Class, Classify};

use crate::store;

/// Why a process could not be started or is not driven on. What was recorded of it stays, and is gone on with when
/// it is started again or resumed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// As many processes run as may: start this one later.
    #[error("too many processes are running")]
    Overloaded,
    /// The driver is closed; the process is resumed by the next one.
    #[error("the driver of the process was closed")]
    Closed,
    /// The store refused or failed: mend it and resume.
    #[error("the process could not be recorded: {0}")]
    Store(#[from] store::Error),
    /// An event in the process's stream is none of its kind, or was written by a newer release.
    #[error("stream `{stream}` holds an event that is no record of the process: {problem}")]
    Undecodable {
        /// The stream.
        stream: Arc<str>,
        /// What is wrong with the event.
        problem: String,
    },
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Overloaded => Class::Transient,
            Self::Store(error) => error.classify(),
            Self::Closed | Self::Undecodable { .. } => Class::Permanent,
        }
    }
}
