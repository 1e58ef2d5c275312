//! How long a call may take.

use std::time::Duration;

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutPolicy {
    /// The longest time from the call to the answer.
    pub after: Duration,
}

impl Default for TimeoutPolicy {
    /// A second.
    fn default() -> Self {
        Self { after: Duration::from_secs(1) }
    }
}
