//! A guard that can be switched off, and changed, while calls run.

use std::task::{Context, Poll};

use tower_service::Service;

use super::current::{Current, Parts};

/// A guarded service that knows its service within, and takes over changes of its settings.
pub trait Adjust {
    /// The service within.
    type Inner;

    /// Returns the service within.
    fn inner(&mut self) -> &mut Self::Inner;

    /// Takes over what is set; says whether the guard is switched on.
    fn adjust(&mut self, parts: &Parts, current: &Current) -> bool;
}

/// A guarded service that can let a call pass by the guard.
///
/// The future is the guard's own, in a state in which it only hands on. One that is either the guard's or the one within
/// would name the one within twice, and a stack of nine guards the innermost one 512 times.
pub trait Pass<Req>: Service<Req> {
    /// Calls the service within as if the guard were not there.
    fn pass(&mut self, request: Req) -> Self::Future;
}

/// A service that takes over changes of settings, in all its depth.
pub trait Refresh {
    /// Takes over what is set.
    fn refresh(&mut self, parts: &Parts, current: &Current);
}

/// A guard's service that lets calls pass by the guard while that is switched off.
#[derive(Debug, Clone)]
pub struct Switch<G> {
    guard: G,
    is_on: bool,
}

impl<G: Adjust> Switch<G> {
    pub(super) fn new(mut guard: G, parts: &Parts, current: &Current) -> Self {
        let is_on = guard.adjust(parts, current);
        Self { guard, is_on }
    }
}

impl<G: Adjust<Inner: Refresh>> Refresh for Switch<G> {
    fn refresh(&mut self, parts: &Parts, current: &Current) {
        self.is_on = self.guard.adjust(parts, current);
        self.guard.inner().refresh(parts, current);
    }
}

impl<G: Pass<Req>, Req> Service<Req> for Switch<G> {
    type Response = G::Response;
    type Error = G::Error;
    type Future = G::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A guard is ready when the service within is, so that it can be switched between this and the call.
        self.guard.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        if self.is_on { self.guard.call(request) } else { self.guard.pass(request) }
    }
}
