//! The service that a [`Stack`](super::Stack) makes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::handle::Shared;
use super::switch::Refresh;

/// Calls the service within through the guards of a stack; made by [`Stack`](super::Stack).
///
/// A call is guarded as the stack was set when it was made, to its end. Whether something has changed costs a look at one
/// number.
pub struct StackService<W> {
    shared: Arc<Shared>,
    /// The version of the settings that `inner` has taken over.
    seen: u64,
    inner: W,
}

impl<W> StackService<W> {
    pub(super) fn new(shared: Arc<Shared>, seen: u64, inner: W) -> Self {
        Self { shared, seen, inner }
    }
}

impl<W: Refresh> StackService<W> {
    #[cold]
    fn refresh(&mut self) {
        let (version, current) = self.shared.current();
        self.inner.refresh(&self.shared.parts, &current);
        self.seen = version;
    }
}

impl<W, Req> Service<Req> for StackService<W>
where
    W: Service<Req> + Refresh,
{
    type Response = W::Response;
    type Error = W::Error;
    type Future = W::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        if self.shared.version() != self.seen {
            self.refresh();
        }
        self.inner.call(request)
    }
}

impl<W: Clone> Clone for StackService<W> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen, inner: self.inner.clone() }
    }
}

impl<W> fmt::Debug for StackService<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackService").field("stack", &self.shared.parts.name).finish_non_exhaustive()
    }
}
