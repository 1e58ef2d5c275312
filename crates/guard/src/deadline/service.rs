//! The service that [`DeadlineLayer`](super::DeadlineLayer) makes.

use std::task::{Context, Poll};

use steadfast_base::{ContextMut, Deadline};
use tokio::time::Instant;
use tower_service::Service;

use super::{DeadlineFuture, DeadlinePolicy, Fixed, Overhead};
use crate::Rejection;

/// Bounds each call of the service within; made by [`DeadlineLayer`](super::DeadlineLayer).
#[derive(Debug, Clone)]
pub struct DeadlineService<S, O = Fixed> {
    pub(crate) inner: S,
    pub(crate) policy: DeadlinePolicy<O>,
}

impl<S, O> DeadlineService<S, O> {
    pub(super) fn new(inner: S, policy: DeadlinePolicy<O>) -> Self {
        Self { inner, policy }
    }
}

impl<S, Req, O> Service<Req> for DeadlineService<S, O>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
    Req: ContextMut,
    O: Overhead<S::Response>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future, O::Meter>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let DeadlinePolicy { overhead, default } = &mut self.policy;
        // The clock is read once.
        let now = Instant::now();
        let until = request.deadline().unwrap_or_else(|| Deadline::after(now, *default));
        match until.instant().checked_sub(overhead.kept_back()) {
            Some(end) if end > now => {
                request.set_deadline(Deadline::at(end));
                DeadlineFuture::calling(self.inner.call(request), end, overhead.start(now))
            }
            _ => DeadlineFuture::refused(),
        }
    }
}
