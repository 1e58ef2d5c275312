//! The layer for incoming requests.

use std::time::Duration;

use tower_layer::Layer;

use super::ServerDeadlineService;

/// Puts the caller's deadline into the extensions of each incoming request.
///
/// Reads what [`remaining_time`](crate::deadline::remaining_time) reads. Handlers and outgoing calls find it by
/// [`Context::deadline`](steadfast_base::Context::deadline). The time counts from the moment the request reaches the
/// layer, so the layer stands outermost.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::ServerDeadlineLayer;
///
/// let layer = ServerDeadlineLayer { default: Duration::from_secs(1), ..ServerDeadlineLayer::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerDeadlineLayer {
    /// The time of a request that states none.
    pub default: Duration,
    /// The longest time that a caller can ask for; more is cut to it.
    pub max: Duration,
}

impl Default for ServerDeadlineLayer {
    /// Gives 3 s to a request that states nothing, and at most 60 s.
    fn default() -> Self {
        Self { default: Duration::from_secs(3), max: Duration::from_secs(60) }
    }
}

impl<S> Layer<S> for ServerDeadlineLayer {
    type Service = ServerDeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerDeadlineService::new(inner, *self)
    }
}
