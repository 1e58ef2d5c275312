use std::time::Duration;

use steadfast_base::{Backoff, Seed};

use crate::store::Durability;

/// How a [`Driver`](super::Driver) repeats, waits and records.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How often a step of unknown outcome, or one that is not sent, is tried before the process is compensated; none:
    /// until it is known.
    /// Counted anew when a process is resumed; 0 counts as 1. An undo is always repeated until it succeeds.
    pub attempts_max: Option<u32>,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How safe an outcome is before the process goes on; the store must be able to achieve it.
    pub durability: Durability,
    /// How many processes may run at the same time; more are refused. Resumed ones are not refused.
    pub running_max: usize,
    /// What the jitter of the waits is drawn from.
    pub seed: Seed,
}

impl Default for Policy {
    /// Steps are repeated until known, an attempt takes at most 5 s, outcomes are durable, 10,000 processes run.
    fn default() -> Self {
        Self {
            attempts_max: None,
            attempt_timeout: Duration::from_secs(5),
            backoff: Backoff::default(),
            durability: Durability::Durable,
            running_max: 10_000,
            seed: Seed::random(),
        }
    }
}
