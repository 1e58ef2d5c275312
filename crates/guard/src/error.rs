//! An error for a guarded stack.

use std::time::Duration;

use steadfast_base::{Class, Classify};

use crate::Rejection;

/// The error of a guarded service: the service's own, or the rejection of a guard.
///
/// The innermost service is wrapped once with `map_err(Error::Inner)`; all guards above it share the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// The call was made and failed.
    #[error(transparent)]
    Inner(E),
    /// A guard refused the call or gave it up.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl<E> Error<E> {
    /// Returns the rejection, if a guard ended the call.
    pub fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::Inner(_) => None,
            Self::Rejected(rejection) => Some(*rejection),
        }
    }
}

impl<E: Classify> Classify for Error<E> {
    fn classify(&self) -> Class {
        match self {
            Self::Inner(error) => error.classify(),
            Self::Rejected(rejection) => rejection.classify(),
        }
    }

    fn is_overload(&self) -> bool {
        match self {
            Self::Inner(error) => error.is_overload(),
            Self::Rejected(rejection) => rejection.is_overload(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Inner(error) => error.retry_after(),
            Self::Rejected(rejection) => rejection.retry_after(),
        }
    }
}
