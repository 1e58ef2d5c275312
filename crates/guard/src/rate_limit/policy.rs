//! What becomes of a call that does not conform.

use std::time::Duration;

/// How long a call may wait for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimitPolicy {
    /// The longest wait; the request's deadline shortens it. Zero, the default, refuses at once. A call that would
    /// wait longer is refused at once as well, so that those who wait are at most `wait_max` × rate.
    pub wait_max: Duration,
}
