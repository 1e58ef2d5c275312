//! A callee for the tests of the guards.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use steadfast_base::{Class, Classify};
use tower_service::Service;

use crate::Error;

pub(crate) type Request = http::Request<()>;
pub(crate) type Answer = Result<http::Response<()>, Error<Failure>>;

/// The callee's own error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed: {0:?}")]
pub(crate) struct Failure(pub(crate) Class);

impl Classify for Failure {
    fn classify(&self) -> Class {
        self.0
    }
}

pub(crate) const TRANSIENT: Error<Failure> = Error::Inner(Failure(Class::Transient));
pub(crate) const PERMANENT: Error<Failure> = Error::Inner(Failure(Class::Permanent));

pub(crate) fn success() -> Answer {
    Ok(http::Response::new(()))
}

/// A service that insists on tower's contract: each clone is polled ready before each call.
pub(crate) struct Callee<F> {
    answer: Arc<F>,
    calls: Arc<AtomicU32>,
    is_ready: bool,
}

impl<F, R> Callee<F>
where
    F: Fn(u32, Request) -> R,
{
    /// Creates a callee that answers call number `n`, counted from 0, with `answer(n, request)`.
    pub(crate) fn new(answer: F) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default(), is_ready: false }
    }

    /// Returns a counter of the calls that reached the callee.
    pub(crate) fn calls(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.calls)
    }
}

impl<F> Clone for Callee<F> {
    fn clone(&self) -> Self {
        Self { answer: Arc::clone(&self.answer), calls: Arc::clone(&self.calls), is_ready: false }
    }
}

impl<F, R> Service<Request> for Callee<F>
where
    F: Fn(u32, Request) -> R,
    R: Future<Output = Answer>,
{
    type Response = http::Response<()>;
    type Error = Error<Failure>;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was polled ready");
        (self.answer)(self.calls.fetch_add(1, Ordering::Relaxed), request)
    }
}
