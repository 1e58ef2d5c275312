//! The service that [`RetryLayer`](super::RetryLayer) makes.

use std::task::{Context, Poll};

use steadfast_base::{Classify, ContextMut};
use tower_service::Service;

use super::RetryFuture;
use super::held::Hold;
use super::layer::{Happy, Shared};
use crate::Rejection;
use crate::stripes::Striped;

/// Repeats calls of the service within; made by [`RetryLayer`](super::RetryLayer).
#[derive(Debug, Clone)]
pub struct RetryService<S> {
    pub(crate) inner: S,
    pub(crate) shared: Striped<Shared, Happy>,
}

impl<S> RetryService<S> {
    pub(super) fn new(inner: S, shared: Striped<Shared, Happy>) -> Self {
        Self { inner, shared }
    }
}

impl<S, Req> Service<Req> for RetryService<S>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: Clone + ContextMut,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        // IMPORTANT: The future takes the service that was polled ready and leaves the clone, which was not. The clone is
        // taken with each call, for a repetition needs a service of its own, set as it is now (ADR 031, what it costs).
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        RetryFuture::new(ready, request, Hold::new(&self.shared))
    }
}
