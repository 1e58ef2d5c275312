//! The service that [`TimeoutLayer`](super::TimeoutLayer) makes.

use std::task::{Context, Poll};

use steadfast_base::{ContextMut, Deadline};
use tokio::time::Instant;
use tower_service::Service;

use super::{TimedOut, TimeoutFuture, TimeoutPolicy};
use crate::Rejection;

/// Bounds the time of each call; made by [`TimeoutLayer`](super::TimeoutLayer).
#[derive(Debug, Clone)]
pub struct TimeoutService<S> {
    pub(crate) inner: S,
    pub(crate) policy: TimeoutPolicy,
}

impl<S> TimeoutService<S> {
    pub(super) fn new(inner: S, policy: TimeoutPolicy) -> Self {
        Self { inner, policy }
    }
}

impl<S, Req> Service<Req> for TimeoutService<S>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
    Req: ContextMut,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let (now, after) = (Instant::now(), self.policy.after);
        let own = Deadline::after(now, after);
        match request.deadline() {
            Some(deadline) if deadline.instant() <= now => TimeoutFuture::refused(),
            // The caller's time is up first, and that is what it will be told.
            Some(deadline) if deadline <= own => {
                let call = self.inner.call(request);
                TimeoutFuture::calling(call, deadline, Rejection::DeadlineExceeded)
            }
            _ => {
                request.set_deadline(own);
                TimeoutFuture::calling(self.inner.call(request), own, TimedOut { after }.into())
            }
        }
    }
}
