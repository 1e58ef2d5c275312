//! The service that [`RefuseExpiredLayer`](super::RefuseExpiredLayer) makes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use steadfast_base::Deadline;
use tower_service::Service;

use super::RefuseExpiredFuture;
use super::layer::Shared;
use crate::Rejection;

/// Refuses expired calls; made by [`RefuseExpiredLayer`](super::RefuseExpiredLayer).
#[derive(Debug, Clone)]
pub struct RefuseExpiredService<S> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared>,
}

impl<S> RefuseExpiredService<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, Req> Service<Req> for RefuseExpiredService<S>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
    Req: steadfast_base::Context,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RefuseExpiredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let Shared { budget, refused, let_through } = &*self.shared;
        budget.deposit();
        if request.deadline().is_some_and(Deadline::is_expired) {
            let operation = request.operation();
            if budget.withdraw() {
                refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(operation, "refused an expired call");
                return RefuseExpiredFuture::refused();
            }
            let_through.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(operation, "let an expired call through, for too many were refused");
        }
        RefuseExpiredFuture::calling(self.inner.call(request))
    }
}
