//! The service that [`ShedLayer`](super::ShedLayer) makes.

use std::task::{Context, Poll};

use steadfast_base::Classify;
use tower_service::Service;

use super::{Shed, ShedFuture};
use crate::Rejection;
use crate::gate::Passage;

/// Calls the service within as it can bear it; made by [`ShedLayer`](super::ShedLayer).
#[derive(Debug, Clone)]
pub struct ShedService<S> {
    pub(crate) inner: S,
    pub(crate) shed: Shed,
}

impl<S> ShedService<S> {
    pub(super) fn new(inner: S, shed: Shed) -> Self {
        Self { inner, shed }
    }
}

impl<S, Req> Service<Req> for ShedService<S>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: steadfast_base::Context,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ShedFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        ShedFuture::new(Passage::new(&mut self.inner, request, &self.shed))
    }
}
