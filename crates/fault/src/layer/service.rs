use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::ResponseFuture;
use super::effect::Effect;
use crate::lease::Registry;

/// Applies the faults of one [`Injector`](crate::Injector) to the calls of a service.
///
/// Clones share the leases.
#[derive(Debug, Clone)]
pub struct FaultLayer {
    registry: Arc<Registry>,
}

impl FaultLayer {
    /// Creates a layer that never does anything, for when there is no injector.
    pub fn idle() -> Self {
        Self::new(Arc::default())
    }

    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultService { inner, registry: self.registry.clone() }
    }
}

/// A service whose calls may be delayed or answered by a fault.
///
/// It must be polled inside a tokio runtime with its timer on while a fault delays calls.
#[derive(Debug, Clone)]
pub struct FaultService<S> {
    inner: S,
    registry: Arc<Registry>,
}

impl<S, B, RB> Service<Request<B>> for FaultService<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        // IMPORTANT: This test is all that an idle call may cost; `tests/idle_cost.rs` counts it.
        if self.registry.is_armed() {
            return self.call_armed(request);
        }
        ResponseFuture::idle(self.inner.call(request))
    }
}

impl<S> FaultService<S> {
    #[cold]
    #[inline(never)]
    fn call_armed<B, RB>(&mut self, request: Request<B>) -> ResponseFuture<S::Future>
    where
        S: Service<Request<B>, Response = Response<RB>>,
    {
        match Effect::of(&self.registry.snapshot(), &request) {
            None => ResponseFuture::idle(self.inner.call(request)),
            Some(effect) if effect.fails() => ResponseFuture::failing(effect),
            Some(effect) => ResponseFuture::affected(self.inner.call(request), effect),
        }
    }
}
