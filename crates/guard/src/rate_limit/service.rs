//! The service that [`RateLimitLayer`](super::RateLimitLayer) makes.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_service::Service;

use super::future::Admission;
use super::{Limit, RateLimitFuture, RateLimitPolicy};
use crate::Rejection;

/// Calls the service within at a limited rate; made by [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Debug, Clone)]
pub struct RateLimitService<S, L> {
    pub(crate) inner: S,
    pub(crate) limit: L,
    pub(crate) policy: RateLimitPolicy,
}

impl<S, L> RateLimitService<S, L> {
    pub(super) fn new(inner: S, limit: L, policy: RateLimitPolicy) -> Self {
        Self { inner, limit, policy }
    }
}

impl<S, L, Req> Service<Req> for RateLimitService<S, L>
where
    S: Service<Req> + Clone,
    S::Error: From<Rejection>,
    L: Limit<Req>,
    Req: steadfast_base::Context,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        // Each way makes its future by itself: one that is put together on two ways is copied before it is whole in memory,
        // which costs as much as all else here.
        if self.policy.wait_max.is_zero() {
            return match self.limit.take(&request, Instant::now()) {
                Ok(_) => RateLimitFuture::calling(self.inner.call(request)),
                Err(error) => RateLimitFuture::refused(error),
            };
        }
        RateLimitFuture::new(Admission::new(&mut self.inner, request, &self.limit, self.policy))
    }
}
