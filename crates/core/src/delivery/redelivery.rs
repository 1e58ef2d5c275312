use std::time::Duration;

use steadfast_base::{Backoff, Seed};

/// How often, and after what wait, a handler that failed gets the same message again.
///
/// An error is repeated if its [class](steadfast_base::Classify) says that repeating can help; a panic, a handler that took too
/// long and one that was dropped are always repeated. Where the error says how long to wait, that is waited at
/// least.
#[derive(Debug, Clone)]
pub struct Redelivery {
    /// How many attempts a message gets, the first included; 0 counts as 1.
    pub attempts_max: u32,
    /// How long one attempt may take; it is the deadline of the delivery.
    pub attempt_timeout: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// What the jitter of the waits is drawn from.
    pub seed: Seed,
}

impl Default for Redelivery {
    /// Five attempts of at most 30 s each.
    fn default() -> Self {
        Self {
            attempts_max: 5,
            attempt_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
            seed: Seed::random(),
        }
    }
}
