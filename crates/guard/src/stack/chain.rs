//! Guards around guards.

use std::task::{Context, Poll};

use tower_service::Service;

use super::current::{Current, Parts};
use super::switch::Refresh;

/// A place that may have the name of a guard.
pub trait Named {
    /// The guard's name in a configuration, if there is one.
    const NAME: Option<&'static str>;
}

/// Places that have names.
pub trait AllNamed {
    /// Returns the names of the guards in their order, the outermost first.
    fn names() -> Vec<&'static str>;
}

impl AllNamed for () {
    fn names() -> Vec<&'static str> {
        Vec::new()
    }
}

impl<P: Named, Rest: AllNamed> AllNamed for (P, Rest) {
    fn names() -> Vec<&'static str> {
        P::NAME.into_iter().chain(Rest::names()).collect()
    }
}

/// A place in a stack for a guard, or for none. One that needs code of the application holds it.
pub trait Place<S> {
    /// The guarded service.
    type Service: Refresh;

    /// Puts the guard around a service.
    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service;
}

/// The place of a guard that is not in the stack. It costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Absent(());

impl Named for Absent {
    const NAME: Option<&'static str> = None;
}

impl<S: Refresh> Place<S> for Absent {
    type Service = S;

    fn wrap(&self, inner: S, _: &Parts, _: &Current) -> S {
        inner
    }
}

/// Places, the outermost first, as nested pairs.
pub trait Chain<S> {
    /// The guarded service.
    type Service: Refresh;

    /// Puts all guards around a service.
    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service;
}

impl<S> Chain<S> for () {
    type Service = Innermost<S>;

    fn wrap(&self, inner: S, _: &Parts, _: &Current) -> Innermost<S> {
        Innermost(inner)
    }
}

impl<S, P, Rest> Chain<S> for (P, Rest)
where
    Rest: Chain<S>,
    P: Place<Rest::Service>,
{
    type Service = P::Service;

    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service {
        let (place, rest) = self;
        place.wrap(rest.wrap(inner, parts, current), parts, current)
    }
}

/// The service that all guards stand around.
#[derive(Debug, Clone)]
pub struct Innermost<S>(S);

impl<S> Refresh for Innermost<S> {
    fn refresh(&mut self, _: &Parts, _: &Current) {}
}

impl<S: Service<Req>, Req> Service<Req> for Innermost<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.0.call(request)
    }
}
