//! What a retry says of an attempt that took too long.

use std::time::Duration;

use crate::Rejection;

/// One attempt took longer than the policy allows. It is repeated like any transient failure, and handed out when no
/// further attempt is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {after:?}")]
pub struct AttemptTimedOut {
    /// How long the attempt was given.
    pub after: Duration,
}

impl From<AttemptTimedOut> for Rejection {
    fn from(AttemptTimedOut { after }: AttemptTimedOut) -> Self {
        Self::AttemptTimedOut { after }
    }
}
