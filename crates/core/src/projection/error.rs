use std::sync::Arc;

use super::ViewError;
use crate::delivery::DeadLettersError;
use crate::store::{self, Position};

/// Why a projection has stopped.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An event cannot be applied, and the policy is to stop: mend the view's code, or choose another policy, and run it
    /// again.
    #[error("projection `{projection}` stopped at event {position} of stream `{stream}`: {reason}")]
    Poisoned {
        /// The projection's name.
        projection: Arc<str>,
        /// Where the event stands.
        position: Position,
        /// In which stream.
        stream: Arc<str>,
        /// Why it cannot be applied.
        reason: String,
    },
    /// The view could not be read or changed.
    #[error("the view of projection `{projection}` failed: {source}")]
    View {
        /// The projection's name.
        projection: Arc<str>,
        /// What its place says.
        source: ViewError,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An event that cannot be applied could not be kept as a dead letter, so it was not passed.
    #[error(transparent)]
    DeadLetters(#[from] DeadLettersError),
}
