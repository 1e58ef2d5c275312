//! The layer that repeats calls.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Budget, Rng, Seed};
use tower_layer::Layer;

use super::{RetryPolicy, RetryService};

/// Repeats calls that failed in a way that may pass; see the [module](crate::retry).
#[derive(Debug, Clone)]
pub struct RetryLayer {
    shared: Arc<Shared>,
}

impl RetryLayer {
    /// Creates a layer from a policy, the budget that all callers of one callee share, and the seed of the jitter.
    pub fn new(policy: RetryPolicy, budget: Arc<Budget>, seed: Seed) -> Self {
        Self { shared: Arc::new(Shared { policy, budget, rng: Mutex::new(seed.stream("retry")) }) }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = RetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(inner, Arc::clone(&self.shared))
    }
}

/// What all services of one layer, and their clones, share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) policy: RetryPolicy,
    pub(super) budget: Arc<Budget>,
    rng: Mutex<Rng>,
}

impl Shared {
    /// Draws the wait before repetition `repetition`, counted from 0.
    pub(super) fn delay(&self, repetition: u32) -> Duration {
        self.policy.backoff.delay(repetition, &mut self.rng.lock())
    }
}
