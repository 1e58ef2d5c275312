//! The layer for outgoing calls.

use std::time::Duration;

use tower_layer::Layer;

use super::DeadlineService;

/// Bounds an outgoing call by what is left of the request's deadline.
///
/// What is left, less [`overhead`](Self::overhead), becomes the deadline that layers below and the callee see. When
/// nothing would be left the call is refused with [`Rejection::DeadlineExceeded`](crate::Rejection) and nothing is
/// sent; when the time is up the call is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineLayer {
    /// The time kept back for sending the request, and for our own answer after it failed.
    pub overhead: Duration,
    /// The time that a request without a deadline gets; the overhead is taken from it too.
    pub default: Duration,
}

impl DeadlineLayer {
    /// Creates a layer that keeps back `overhead` and gives `default` to a request without a deadline.
    pub fn new(overhead: Duration, default: Duration) -> Self {
        Self { overhead, default }
    }
}

impl Default for DeadlineLayer {
    /// Keeps back 20 ms, and gives 3 s to a request without a deadline.
    fn default() -> Self {
        Self::new(Duration::from_millis(20), Duration::from_secs(3))
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService::new(inner, *self)
    }
}
