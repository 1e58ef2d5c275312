//! The right to make one call.

use std::sync::Arc;

use steadfast_base::{Class, Deadline};

use super::handle::{Begun, Entrance, Shared};
use super::state::Outcome;
use crate::stripes::Stripe;

/// The right to make one call, and the duty to say how it ended.
///
/// A permit that is dropped without a word counts as abandoned, or as failed when the call's deadline has passed or
/// the thread is panicking.
#[must_use = "a permit that is dropped counts as an abandoned call"]
#[derive(Debug)]
pub struct Permit {
    pub(super) breaker: Arc<Stripe<Shared, Entrance>>,
    pub(super) generation: u64,
    /// When it was given, if anybody asked.
    pub(super) begun: Begun,
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
    #[inline]
    pub fn end(mut self, class: Class) {
        self.set(class);
    }

    /// Notes how the call ended, for when the permit is dropped.
    #[inline]
    pub(super) fn set(&mut self, class: Class) {
        self.outcome = Some(if class.is_failure() { Outcome::Failed } else { Outcome::Succeeded });
    }
}

impl Permit {
    /// Says what became of a call of which nobody said how it ended.
    #[cold]
    fn left(&self) -> Outcome {
        let too_slow = self.deadline.is_some_and(Deadline::is_expired);
        if too_slow || std::thread::panicking() { Outcome::Failed } else { Outcome::Abandoned }
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or_else(|| self.left());
        self.breaker.local.end(&self.breaker, self.generation, self.begun, outcome);
    }
}
