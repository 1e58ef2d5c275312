//! What a breaker says instead of letting a call through.

use std::time::Duration;

use steadfast_base::{Class, Classify};

use crate::Rejection;

/// The breaker is open, so nothing was sent. Repeating can help after `retry_after`; an operator finds the cause in the
/// event that told of the opening, and can open and close the breaker by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker open, retry after {retry_after:?}")]
pub struct BreakerOpen {
    /// The time until the next probe is let through; zero while probes are under way.
    pub retry_after: Duration,
}

impl From<BreakerOpen> for Rejection {
    fn from(BreakerOpen { retry_after }: BreakerOpen) -> Self {
        Self::BreakerOpen { retry_after }
    }
}

impl Classify for BreakerOpen {
    fn classify(&self) -> Class {
        Class::Transient
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(self.retry_after)
    }
}
