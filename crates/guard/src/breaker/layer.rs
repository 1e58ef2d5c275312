//! The layer that puts a breaker before a service.

use tower_layer::Layer;

use super::{Breaker, BreakerService};

/// Lets calls through as long as its [`Breaker`] does; see the [module](crate::breaker).
#[derive(Debug, Clone)]
pub struct BreakerLayer {
    breaker: Breaker,
}

impl BreakerLayer {
    /// Creates a layer whose services share `breaker`.
    pub fn new(breaker: Breaker) -> Self {
        Self { breaker }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = BreakerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService::new(inner, self.breaker.clone())
    }
}
