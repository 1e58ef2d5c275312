//! The layer for outgoing calls.

use std::time::Duration;

use tower_layer::Layer;

use super::{DeadlinePolicy, DeadlineService, Fixed, Measured};

/// Bounds an outgoing call by what is left of the request's deadline.
///
/// What is left, less an overhead, becomes the deadline that layers below and the callee see. When nothing would be
/// left the call is refused with [`Rejection::DeadlineExceeded`](crate::Rejection) and nothing is sent; when the time
/// is up the call is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineLayer<O = Fixed> {
    policy: DeadlinePolicy<O>,
}

impl DeadlineLayer {
    /// Creates a layer that keeps back `overhead` and gives `default` to a request without a deadline.
    pub fn new(overhead: Duration, default: Duration) -> Self {
        Self { policy: DeadlinePolicy { overhead: Fixed(overhead), default } }
    }
}

impl DeadlineLayer<Measured> {
    /// Creates a layer that measures how much to keep back, and gives `default` to a request without a deadline.
    pub fn measured(default: Duration) -> Self {
        Self { policy: DeadlinePolicy { overhead: Measured::default(), default } }
    }
}

impl Default for DeadlineLayer {
    /// Keeps back 20 ms, and gives 3 s to a request without a deadline.
    fn default() -> Self {
        DeadlinePolicy::default().into()
    }
}

impl<O> From<DeadlinePolicy<O>> for DeadlineLayer<O> {
    fn from(policy: DeadlinePolicy<O>) -> Self {
        Self { policy }
    }
}

impl<S, O: Clone> Layer<S> for DeadlineLayer<O> {
    type Service = DeadlineService<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService::new(inner, self.policy.clone())
    }
}
