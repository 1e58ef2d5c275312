//! Why a guard ended a call.

use std::time::Duration;

use steadfast_base::{Class, Classify, DeadlineExceeded};

use crate::{bulkhead, rate_limit, shed};

/// The reason for which a guard refused a call, or gave it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No time was left, before the call was sent or while it was under way. Repeating cannot help: whoever asked
    /// has stopped waiting. Unless the callee recognises a repetition, it is unknown whether it did what was asked.
    #[error("deadline exceeded")]
    DeadlineExceeded,
    /// One attempt took longer than the policy allows, and no further one was possible. Repeating can help.
    #[error("no answer within {after:?}")]
    AttemptTimedOut {
        /// How long the attempt was given.
        after: Duration,
    },
    /// A call took longer than its [`timeout`](crate::timeout) allows. Repeating can help; unless the callee recognises a
    /// repetition, it is unknown whether it did what was asked.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// How long the call was given.
        after: Duration,
    },
    /// The circuit breaker is open, so nothing was sent. Repeating can help after `retry_after`.
    #[error("circuit breaker open, retry after {retry_after:?}")]
    BreakerOpen {
        /// The time until the next probe is let through; zero while probes are under way.
        retry_after: Duration,
    },
    /// The rate limit is reached, so nothing was sent.
    #[error(transparent)]
    RateLimited(#[from] rate_limit::Error),
    /// There is no room in the bulkhead, so nothing was sent.
    #[error(transparent)]
    Bulkhead(#[from] bulkhead::Error),
    /// There is overload, so nothing was sent.
    #[error(transparent)]
    Shed(#[from] shed::Error),
}

impl Classify for Rejection {
    fn classify(&self) -> Class {
        match self {
            Self::DeadlineExceeded => Class::Permanent,
            Self::AttemptTimedOut { .. } | Self::TimedOut { .. } | Self::BreakerOpen { .. } => {
                Class::Transient
            }
            Self::RateLimited(error) => error.classify(),
            Self::Bulkhead(error) => error.classify(),
            Self::Shed(error) => error.classify(),
        }
    }

    fn is_overload(&self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Bulkhead(_) | Self::Shed(_))
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::BreakerOpen { retry_after } => Some(*retry_after),
            Self::DeadlineExceeded | Self::AttemptTimedOut { .. } | Self::TimedOut { .. } => None,
            Self::RateLimited(error) => error.retry_after(),
            Self::Bulkhead(error) => error.retry_after(),
            Self::Shed(error) => error.retry_after(),
        }
    }
}

impl From<DeadlineExceeded> for Rejection {
    fn from(_: DeadlineExceeded) -> Self {
        Self::DeadlineExceeded
    }
}
