//! The layer that limits the rate of calls.

use tower_layer::Layer;

use super::{RateLimitPolicy, RateLimitService};

/// Lets calls through at the rate of a [`Limit`](super::Limit); see the [module](crate::rate_limit).
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::{Quota, RateLimiter};
/// use steadfast_guard::{Error, RateLimitLayer};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error<std::convert::Infallible>> {
/// let limiter = RateLimiter::new(Quota::per_second(1));
/// let mut service = ServiceBuilder::new()
///     .layer(RateLimitLayer::new(limiter))
///     .map_err(Error::Inner)
///     .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
/// service.ready().await?.call(http::Request::new(())).await?;
/// assert!(service.ready().await?.call(http::Request::new(())).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RateLimitLayer<L> {
    limit: L,
    policy: RateLimitPolicy,
}

impl<L> RateLimitLayer<L> {
    /// Creates a layer whose services share `limit` and refuse at once what does not conform.
    pub fn new(limit: L) -> Self {
        Self { limit, policy: RateLimitPolicy::default() }
    }

    /// Returns the same layer with another policy.
    #[must_use]
    pub fn with_policy(self, policy: RateLimitPolicy) -> Self {
        Self { policy, ..self }
    }
}

impl<S, L: Clone> Layer<S> for RateLimitLayer<L> {
    type Service = RateLimitService<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(inner, self.limit.clone(), self.policy)
    }
}
