//! The layer that repeats calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Backoff, Budget, Rng, Seed};
use tower_layer::Layer;

use super::{RetryPolicy, RetryService};
use crate::stripes::{Striped, count};

/// Repeats calls that failed in a way that may pass; see the [module](crate::retry).
#[derive(Debug, Clone)]
pub struct RetryLayer {
    pub(crate) shared: Striped<Shared, Happy>,
}

impl RetryLayer {
    /// Creates a layer from a policy, the budget that all callers of one callee share, and the seed of the jitter.
    pub fn new(policy: RetryPolicy, budget: Arc<Budget>, seed: Seed) -> Self {
        let rng = Mutex::new(seed.stream("retry"));
        let shared = Shared { rng, counters: Counters::default() };
        let happy = std::iter::repeat_n(Happy { policy, budget }, count());
        Self { shared: Striped::with(shared, happy) }
    }

    /// Returns a layer of another policy that shares this one's budget, jitter and counts.
    #[must_use]
    pub fn with_policy(&self, policy: RetryPolicy) -> Self {
        let budget = Arc::clone(&self.shared.local().local.budget);
        Self { shared: self.shared.with_locals(std::iter::repeat_n(Happy { policy, budget }, count())) }
    }

    /// Returns how often calls were repeated, and why not.
    pub fn counts(&self) -> RetryCounts {
        let Counters { repeated, out_of_attempts, out_of_time, out_of_budget } = &self.shared.counters;
        RetryCounts {
            repeated: repeated.load(Ordering::Relaxed),
            out_of_attempts: out_of_attempts.load(Ordering::Relaxed),
            out_of_time: out_of_time.load(Ordering::Relaxed),
            out_of_budget: out_of_budget.load(Ordering::Relaxed),
        }
    }
}

/// What became of attempts that failed in a way that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RetryCounts {
    /// They were repeated.
    pub repeated: u64,
    /// They were not, for there were enough attempts.
    pub out_of_attempts: u64,
    /// They were not, for the next would have come after the deadline, or later than a callee can ask for.
    pub out_of_time: u64,
    /// They were not, for the budget was spent.
    pub out_of_budget: u64,
}

impl<S> Layer<S> for RetryLayer {
    type Service = RetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(inner, self.shared.clone())
    }
}

/// What a call needs that succeeds, beside the reference count of its stripe.
#[derive(Debug, Clone)]
pub(crate) struct Happy {
    pub(super) policy: RetryPolicy,
    pub(super) budget: Arc<Budget>,
}

/// What all services of one layer, and their clones, share.
#[derive(Debug)]
pub(crate) struct Shared {
    rng: Mutex<Rng>,
    pub(super) counters: Counters,
}

/// Counters of the unhappy path.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) repeated: AtomicU64,
    pub(super) out_of_attempts: AtomicU64,
    pub(super) out_of_time: AtomicU64,
    pub(super) out_of_budget: AtomicU64,
}

impl Shared {
    /// Draws the wait before repetition `repetition`, counted from 0, after one of `previous`.
    pub(super) fn delay(&self, backoff: &Backoff, repetition: u32, previous: Duration) -> Duration {
        backoff.delay_after(previous, repetition, &mut self.rng.lock())
    }
}
