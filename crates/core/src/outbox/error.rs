use steadfast_base::{Class, Classify};

use crate::{store, transport};

/// Why an outbox ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be read, or the checkpoint not be moved. After a conflict another outbox of the same
    /// name runs: stop one of them.
    #[error("outbox: {0}")]
    Store(#[from] store::Error),
    /// The sink can never take an event: correct the sink's configuration, or let rejected events be skipped.
    #[error("outbox: {0}")]
    Sink(#[from] transport::Error),
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Store(error) => error.classify(),
            Self::Sink(error) => error.classify(),
        }
    }
}
