//! Guards around guards.

use std::task::{Context, Poll};

use tower_service::Service;

use super::current::{Current, Parts};
use super::switch::{Refresh, Switch};
use crate::fallback::FallbackService;
use crate::{FallbackLayer, fallback};

/// A place, or a fallback, that may have the name of a guard.
pub trait Named {
    /// The guard's name in a configuration, if there is one.
    const NAME: Option<&'static str>;
}

/// A place in a stack for a guard, or for none.
pub trait Place<S> {
    /// The guarded service.
    type Service: Refresh;

    /// Puts the guard around a service.
    fn wrap(inner: S, parts: &Parts, current: &Current) -> Self::Service;
}

/// The place of a guard that is not in the stack. It costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Absent(());

impl Named for Absent {
    const NAME: Option<&'static str> = None;
}

impl<S: Refresh> Place<S> for Absent {
    type Service = S;

    fn wrap(inner: S, _: &Parts, _: &Current) -> S {
        inner
    }
}

/// Places, the outermost first, as nested pairs.
pub trait Chain<S> {
    /// The guarded service.
    type Service: Refresh;

    /// Puts all guards around a service.
    fn wrap(inner: S, parts: &Parts, current: &Current) -> Self::Service;
}

impl<S> Chain<S> for () {
    type Service = Innermost<S>;

    fn wrap(inner: S, _: &Parts, _: &Current) -> Innermost<S> {
        Innermost(inner)
    }
}

impl<S, P, Rest> Chain<S> for (P, Rest)
where
    Rest: Chain<S>,
    P: Place<Rest::Service>,
{
    type Service = P::Service;

    fn wrap(inner: S, parts: &Parts, current: &Current) -> Self::Service {
        P::wrap(Rest::wrap(inner, parts, current), parts, current)
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

/// What stands above all guards: a fallback, or nothing.
pub trait Top<S> {
    /// The guarded service.
    type Service: Refresh;

    /// Puts it around a service.
    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service;
}

/// There is no fallback.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFallback(());

impl Named for NoFallback {
    const NAME: Option<&'static str> = None;
}

impl<X> Named for FallbackLayer<X> {
    const NAME: Option<&'static str> = Some("fallback");
}

impl<S: Refresh> Top<S> for NoFallback {
    type Service = S;

    fn wrap(&self, inner: S, _: &Parts, _: &Current) -> S {
        inner
    }
}

impl<S: Refresh, F> Top<S> for FallbackLayer<F> {
    type Service = Switch<FallbackService<S, F>>;

    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service {
        let guard = fallback::FallbackService { inner, shared: std::sync::Arc::clone(&self.shared) };
        Switch::new(guard, parts, current)
    }
}

impl<S, F> super::switch::Adjust for FallbackService<S, F> {
    type Inner = S;

    fn inner(&mut self) -> &mut S {
        &mut self.inner
    }

    fn adjust(&mut self, _: &Parts, current: &Current) -> bool {
        current.settings.fallback
    }
}
