//! Why a bulkhead refuses.

use std::time::Duration;

use steadfast_base::{Class, Classify};

/// The reason for which a bulkhead refused a call. Nothing was sent. Repeating can help once calls have ended; when it
/// happens often, the callee is too slow for what is asked of it, or `concurrency_max` is too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// As many calls as are allowed are under way, and the queue is full.
    #[error("bulkhead full")]
    Full,
    /// The call waited for room in vain.
    #[error("no room in the bulkhead within {after:?}")]
    Waited {
        /// The longest that a call waits.
        after: Duration,
    },
}

impl Classify for Error {
    fn classify(&self) -> Class {
        Class::Transient
    }
}
