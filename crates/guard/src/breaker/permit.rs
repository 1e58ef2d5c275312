//! The right to make one call.

use std::sync::Arc;

use steadfast_base::{Class, Deadline};

use super::handle::Shared;
use super::state::Outcome;
use super::window::Nanos;
use crate::stripes::Stripe;

/// The right to make one call, and the duty to say how it ended.
///
/// A permit that is dropped without a word counts as abandoned, or as failed when the call's deadline has passed or
/// the thread is panicking.
#[must_use = "a permit that is dropped counts as an abandoned call"]
#[derive(Debug)]
pub struct Permit {
    pub(super) breaker: Arc<Stripe<Shared>>,
    pub(super) generation: u64,
    /// When it was given; 0 if nobody asks.
    pub(super) begun: Nanos,
    pub(super) deadline: Option<Deadline>,
    pub(super) outcome: Option<Outcome>,
}

impl Permit {
    /// Says that the call succeeded.
    pub fn succeed(self) {
        self.end(Class::Success);
    }

    /// Says that the callee failed.
    pub fn fail(self) {
        self.end(Class::Permanent);
    }

    /// Says how the call ended.
    pub fn end(mut self, class: Class) {
        self.outcome = Some(if class.is_failure() { Outcome::Failed } else { Outcome::Succeeded });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or_else(|| {
            let too_slow = self.deadline.is_some_and(Deadline::is_expired);
            if too_slow || std::thread::panicking() { Outcome::Failed } else { Outcome::Abandoned }
        });
        self.breaker.end(self.breaker.index(), self.generation, self.begun, outcome);
    }
}
