//! The service that [`FallbackLayer`](super::FallbackLayer) makes.

use std::sync::Arc;
use std::task::{Context, Poll};

use steadfast_base::Classify;
use tower_service::Service;

use super::layer::Shared;
use super::{FallbackFuture, Substitute};

/// Calls the service within and substitutes for its failures; made by [`FallbackLayer`](super::FallbackLayer).
pub struct FallbackService<S, F> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<F>>,
}

impl<S, F> FallbackService<S, F> {
    pub(super) fn new(inner: S, shared: Arc<Shared<F>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, F, Req> Service<Req> for FallbackService<S, F>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify,
    F: Substitute<Req, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FallbackFuture<S, F, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A service that fails to become ready has no request to substitute for, and is not to be asked again.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let kept = self.shared.substitute.keep(&request);
        FallbackFuture::new(self.inner.call(request), kept, Arc::clone(&self.shared))
    }
}

impl<S: Clone, F> Clone for FallbackService<S, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: std::fmt::Debug, F> std::fmt::Debug for FallbackService<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FallbackService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
