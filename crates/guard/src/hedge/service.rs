//! The service that [`HedgeLayer`](super::HedgeLayer) makes.

use std::task::{Context, Poll};

use steadfast_base::Classify;
use tower_service::Service;

use super::{Hedge, HedgeFuture};

/// Calls the service within, a second time where that is late; made by [`HedgeLayer`](super::HedgeLayer).
#[derive(Debug, Clone)]
pub struct HedgeService<S> {
    pub(crate) inner: S,
    pub(crate) hedge: Hedge,
}

impl<S> HedgeService<S> {
    pub(super) fn new(inner: S, hedge: Hedge) -> Self {
        Self { inner, hedge }
    }
}

impl<S, Req> Service<Req> for HedgeService<S>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify,
    Req: Clone + steadfast_base::Context,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgeFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        HedgeFuture::new(&mut self.inner, request, &self.hedge)
    }
}
