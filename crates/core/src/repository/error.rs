use std::sync::Arc;

use steadfast_base::{Class, Classify};

use crate::snapshot::NotDecoded;
use crate::store;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The aggregate refuses it; repeating it helps only once the aggregate has changed.
    #[error("refused")]
    Refused(E),
    /// Its key was used for another command: choose another key.
    #[error("key `{key}` was used for another command")]
    KeyReused {
        /// The key.
        key: Arc<str>,
    },
    /// As many commands as may wait for one aggregate are waiting already: come back later.
    #[error("too many commands wait for `{name}`")]
    Crowded {
        /// The aggregate's name.
        name: Arc<str>,
    },
    /// Others changed the aggregate each time before this could: come back later.
    #[error("`{name}` was changed by others {times} times meanwhile")]
    Contended {
        /// The aggregate's name.
        name: Arc<str>,
        /// How often it was tried.
        times: u32,
    },
    /// An event that the command causes cannot be written.
    #[error("an event of `{name}` cannot be written: {source}")]
    NotEncoded {
        /// The aggregate's name.
        name: Arc<str>,
        /// What is wrong with it.
        source: NotDecoded,
    },
    /// The aggregate could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store did not take the events. [`store::Error::outcome`] says whether they may be there all the same; the
    /// same command under the same key tells.
    #[error(transparent)]
    Store(store::Error),
}

/// Why an aggregate could not be loaded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// An event of its stream is not one of the aggregate's: give the codec what it lacks.
    #[error("event {revision} of stream `{stream}`, of type `{kind}`, cannot be read: {source}")]
    NotDecoded {
        /// The stream.
        stream: Arc<str>,
        /// The event's revision.
        revision: store::Revision,
        /// The event's type.
        kind: Arc<str>,
        /// What is wrong with it.
        source: NotDecoded,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Classify for LoadError {
    fn classify(&self) -> Class {
        match self {
            Self::NotDecoded { .. } => Class::Permanent,
            Self::Store(error) => error.classify(),
        }
    }
}

impl<E> Classify for Error<E> {
    fn classify(&self) -> Class {
        match self {
            Self::Refused(_) | Self::KeyReused { .. } => Class::Success,
            Self::Crowded { .. } | Self::Contended { .. } => Class::Transient,
            Self::NotEncoded { .. } => Class::Permanent,
            Self::Load(error) => error.classify(),
            Self::Store(error) => error.classify(),
        }
    }
}
