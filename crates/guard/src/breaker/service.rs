//! The service that [`BreakerLayer`](super::BreakerLayer) makes.

use std::task::{Context, Poll};

use steadfast_base::Classify;
use tower_service::Service;

use super::{Breaker, BreakerFuture};
use crate::Rejection;

/// Calls the service within as long as the breaker is closed; made by [`BreakerLayer`](super::BreakerLayer).
#[derive(Debug, Clone)]
pub struct BreakerService<S> {
    pub(crate) inner: S,
    pub(crate) breaker: Breaker,
}

impl<S> BreakerService<S> {
    pub(super) fn new(inner: S, breaker: Breaker) -> Self {
        Self { inner, breaker }
    }
}

impl<S, Req> Service<Req> for BreakerService<S>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: steadfast_base::Context,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BreakerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match self.breaker.acquire(request.deadline()) {
            Ok(permit) => BreakerFuture::calling(self.inner.call(request), permit),
            Err(open) => BreakerFuture::refused(open.into()),
        }
    }
}
