use steadfast::core::store;

use crate::host::Overloaded;
use crate::ledger::Crowded;
use crate::orders::domain;
use crate::orders::process;

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The order does not allow it; repeating it cannot help.
    #[error(transparent)]
    Refused(#[from] domain::Refused),
    /// The key was used for another request before: choose a new key.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The order is being confirmed under another key: ask for its state, or come back later.
    #[error("the order is being confirmed under another key")]
    ConfirmationUnderWay,
    /// The order could not be confirmed, and what had been done for it was taken back.
    #[error("the order was not confirmed")]
    NotConfirmed(process::Reason),
    /// The caller's time was up before it was in the log, where it may be yet: ask again with the same key.
    #[error("the caller's time is up, and it is open whether it is recorded")]
    OutOfTime,
    /// Too much is being asked at once: come back later with the same key.
    #[error("too much is being asked at once")]
    Overloaded,
    /// The log did not take it: come back later with the same key.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Crowded> for Error {
    fn from(_: Crowded) -> Self {
        Self::Overloaded
    }
}

impl From<Overloaded> for Error {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}
