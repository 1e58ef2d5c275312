//! The layer that bounds a step.

use std::time::Duration;

use tower_layer::Layer;

use super::{TimeoutPolicy, TimeoutService};

/// Gives up a call that takes too long; see the [module](crate::timeout).
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use steadfast_guard::{Error, Rejection, TimeoutLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let service = ServiceBuilder::new()
///     .layer(TimeoutLayer::new(Duration::from_millis(50)))
///     .service(service_fn(|_: http::Request<()>| std::future::pending::<Result<(), Error<Infallible>>>()));
/// let answer = service.oneshot(http::Request::new(())).await;
/// assert_eq!(answer, Err(Error::Rejected(Rejection::TimedOut { after: Duration::from_millis(50) })));
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeoutLayer {
    policy: TimeoutPolicy,
}

impl TimeoutLayer {
    /// Creates a layer that gives a call `after`.
    pub fn new(after: Duration) -> Self {
        Self { policy: TimeoutPolicy { after } }
    }
}

impl From<TimeoutPolicy> for TimeoutLayer {
    fn from(policy: TimeoutPolicy) -> Self {
        Self { policy }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = TimeoutService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TimeoutService::new(inner, self.policy)
    }
}
