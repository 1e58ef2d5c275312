//! What is repeated, how often and when.

use std::time::Duration;

use steadfast_base::Backoff;

/// How often a call is attempted, and how long each attempt, each wait and all of them may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// The most attempts of one call, the first included; 0 counts as 1.
    pub attempts_max: u32,
    /// The wait before a repetition. It is added to what the callee asks for (`Retry-After`, gRPC pushback, an open
    /// breaker), so that those who were told the same time do not return together.
    pub backoff: Backoff,
    /// The longest time that a callee can ask for. One that asks for more is not asked again: the failure is handed out
    /// at once.
    pub retry_after_max: Duration,
    /// The longest that one attempt may take, waiting for the service to become ready included. An attempt that
    /// takes longer is dropped and counts as a transient failure. `None`: until the deadline.
    pub attempt_timeout: Option<Duration>,
    /// The longest that all attempts and waits may take, from the first poll. `None`: until the request's deadline.
    pub overall_timeout: Option<Duration>,
}

impl Default for RetryPolicy {
    /// Three attempts, [`Backoff::default`] between them, at most a minute of what the callee asks for, no time limit
    /// but the request's deadline.
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff: Backoff::default(),
            retry_after_max: Duration::from_secs(60),
            attempt_timeout: None,
            overall_timeout: None,
        }
    }
}
