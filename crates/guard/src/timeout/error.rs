//! What a timeout says instead of an answer.

use std::time::Duration;

use crate::Rejection;

/// There was no answer in time. Repeating can help; unless the callee recognises a repetition, it is unknown whether it
/// did what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {after:?}")]
pub struct TimedOut {
    /// How long the call was given.
    pub after: Duration,
}

impl From<TimedOut> for Rejection {
    fn from(TimedOut { after }: TimedOut) -> Self {
        Self::TimedOut { after }
    }
}
