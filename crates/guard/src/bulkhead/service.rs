//! The service that [`BulkheadLayer`](super::BulkheadLayer) makes.

use std::task::{Context, Poll};

use tower_service::Service;

use super::{Bulkhead, BulkheadFuture};
use crate::Rejection;
use crate::gate::Passage;

/// Calls the service within while there is room; made by [`BulkheadLayer`](super::BulkheadLayer).
#[derive(Debug, Clone)]
pub struct BulkheadService<S> {
    pub(crate) inner: S,
    pub(crate) bulkhead: Bulkhead,
}

impl<S> BulkheadService<S> {
    pub(super) fn new(inner: S, bulkhead: Bulkhead) -> Self {
        Self { inner, bulkhead }
    }
}

impl<S, Req> Service<Req> for BulkheadService<S>
where
    S: Service<Req> + Clone,
    S::Error: From<Rejection>,
    Req: steadfast_base::Context,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BulkheadFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        BulkheadFuture::new(Passage::new(&mut self.inner, request, &self.bulkhead))
    }
}
