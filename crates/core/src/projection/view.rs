use futures::future::BoxFuture;

use crate::store::{Position, StoredEvent};

/// What events have made, and up to where.
pub trait View: Send + Sync + 'static {
    /// Returns up to where events are in the view; [`Position::START`] for an empty one.
    ///
    /// # Errors
    /// [`ViewError`] when its place cannot be reached, or holds something else.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    fn position(&self) -> BoxFuture<'_, Result<Position, ViewError>>;

    /// Applies `events` in order, at least one, and notes the position of the last. They are all that follow `after`, up
    /// to where the caller knows the view to be: one that is not as far any more, for its place was restored from a copy
    /// or lost what it had committed, would get a hole, and changes nothing.
    ///
    /// It is all or nothing; or all before the one that cannot be applied, with the position noted. Where view and
    /// position cannot move in one step, a view leaves out events that it has seen, by their position. The position
    /// is never ahead of the view.
    ///
    /// # Errors
    /// [`ApplyError::Event`] names the one that cannot be applied, [`ApplyError::View`] says that the place failed,
    /// [`ApplyError::WentBack`] that the view is before `after`: bring it the events from there.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open which of the events are applied; [`position`](Self::position) tells.
    fn apply<'a>(
        &'a self,
        after: Position,
        events: &'a [StoredEvent],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;

    /// Passes `event`, which follows `after` and cannot be applied for this `reason`: notes its position and, where the
    /// view's place can, which event it was.
    ///
    /// # Errors
    /// [`ApplyError::View`] when its place cannot be reached, [`ApplyError::WentBack`] as for [`apply`](Self::apply).
    ///
    /// # Cancel safety
    /// As for [`apply`](Self::apply).
    fn skip<'a>(
        &'a self,
        after: Position,
        event: &'a StoredEvent,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Why a view could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ViewError {
    /// What the place of the view says.
    pub reason: String,
    /// Whether trying again can help.
    pub retryable: bool,
}

impl ViewError {
    /// Makes an error that may pass.
    pub fn transient(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), retryable: true }
    }

    /// Makes an error that does not pass by itself.
    pub fn permanent(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), retryable: false }
    }
}

/// Why events were not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// One of them cannot be applied.
    #[error("event {index} of the batch cannot be applied: {reason}")]
    Event {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
        /// Whether trying again can help.
        retryable: bool,
    },
    /// The place of the view failed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The view is before where it was: its place was restored from a copy, or has lost what it had committed. Bring it
    /// the events from there.
    #[error("the view has gone back to {to}")]
    WentBack {
        /// Up to where events are in it now.
        to: Position,
    },
}

impl ApplyError {
    /// Checks that a view which stands at `known` has not gone back behind `after`.
    ///
    /// # Errors
    /// [`ApplyError::WentBack`] if it has.
    pub fn check(known: Position, after: Position) -> Result<(), Self> {
        if known < after { Err(Self::WentBack { to: known }) } else { Ok(()) }
    }
}
