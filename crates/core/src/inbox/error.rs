use std::time::Duration;

use steadfast_base::{Class, Classify};

use crate::store;

/// Why an event was not applied; `E` is what deciding on its effect fails with.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The effect could not be decided on.
    #[error(transparent)]
    Effect(E),
    /// The store failed. Handling the event again is safe, also if the effect was appended all the same.
    #[error("the inbox could not append: {0}")]
    Store(#[source] store::Error),
}

impl<E: Classify> Classify for Error<E> {
    fn classify(&self) -> Class {
        match self {
            Self::Effect(error) => error.classify(),
            Self::Store(store::Error::Invalid { .. } | store::Error::Unsupported { .. }) => Class::Permanent,
            // The event is not at fault, not even where the store is damaged: it is to come again when the store is
            // well.
            Self::Store(_) => Class::Transient,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Effect(error) => error.retry_after(),
            Self::Store(_) => None,
        }
    }
}
