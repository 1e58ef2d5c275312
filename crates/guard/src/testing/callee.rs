//! A callee that answers by a script.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use steadfast_base::{Class, Classify};
use tower_service::Service;

use crate::Error;

/// The request that tests send.
pub type Request = http::Request<()>;

/// What tests get for it.
pub type Answer = Result<http::Response<()>, Error<Failure>>;

/// The callee's own error, which says no more than its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed: {0:?}")]
pub struct Failure(
    /// The class.
    pub Class,
);

impl Classify for Failure {
    fn classify(&self) -> Class {
        self.0
    }
}

/// A failure that a repetition may mend.
pub const TRANSIENT: Error<Failure> = Error::Inner(Failure(Class::Transient));
/// A failure that no repetition mends.
pub const PERMANENT: Error<Failure> = Error::Inner(Failure(Class::Permanent));

/// Returns the answer that all is well.
///
/// # Errors
/// Never.
pub fn success() -> Answer {
    Ok(http::Response::new(()))
}

/// A service that answers by a script, and that insists on tower's contract.
///
/// # Examples
/// ```
/// use std::sync::atomic::Ordering;
/// use steadfast_guard::testing::{Callee, Request, TRANSIENT, success};
/// use tower::ServiceExt;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let callee = Callee::new(|n, _| async move { if n == 0 { Err(TRANSIENT) } else { success() } });
/// let calls = callee.calls();
/// assert!(callee.clone().oneshot(Request::new(())).await.is_err());
/// assert!(callee.oneshot(Request::new(())).await.is_ok());
/// assert_eq!(calls.load(Ordering::Relaxed), 2);
/// # });
/// ```
#[derive(Debug)]
pub struct Callee<F> {
    answer: Arc<F>,
    calls: Arc<AtomicU32>,
    is_ready: bool,
}

impl<F, R> Callee<F>
where
    F: Fn(u32, Request) -> R,
{
    /// Creates a callee that answers call number `n`, counted from 0, with `answer(n, request)`.
    pub fn new(answer: F) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default(), is_ready: false }
    }

    /// Returns a counter of the calls that reached the callee.
    pub fn calls(&self) -> Arc<AtomicU32> {
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

    /// # Panics
    /// When it was not polled ready before.
    fn call(&mut self, request: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was polled ready");
        (self.answer)(self.calls.fetch_add(1, Ordering::Relaxed), request)
    }
}
