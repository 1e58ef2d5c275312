//! The layer that substitutes for failures.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_layer::Layer;

use super::{Degraded, FallbackService, LastGood, LastGoodPolicy, Value};

/// Substitutes something for the answer of a callee that failed; see the [module](crate::fallback).
///
/// # Examples
/// ```
/// use steadfast_guard::{Error, FallbackLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error<std::convert::Infallible>> {
/// let fallback = FallbackLayer::value(|_: &Result<http::Response<&str>, _>| Some(http::Response::new("no offers")));
/// let service = ServiceBuilder::new()
///     .layer(fallback.clone())
///     .map_err(Error::Inner)
///     .service(service_fn(|_: http::Request<()>| async {
///         Ok(http::Response::builder().status(503).body("").expect("a valid response"))
///     }));
/// assert_eq!(*service.oneshot(http::Request::new(())).await?.body(), "no offers");
/// assert_eq!(fallback.substituted(), 1);
/// # Ok(())
/// # }
/// ```
pub struct FallbackLayer<F> {
    pub(crate) shared: Arc<Shared<F>>,
}

/// What all services of one layer, and their clones, share.
pub(crate) struct Shared<F> {
    pub(super) substitute: F,
    pub(super) substituted: AtomicU64,
}

impl<F> FallbackLayer<Value<F>> {
    /// Creates a layer that substitutes `value(failure)`, if there is one.
    pub fn value<Response, E>(value: F) -> Self
    where
        F: Fn(&Result<Response, E>) -> Option<Response>,
    {
        Self::new(Value(value))
    }
}

impl<F, K: Eq + Hash, Response: Clone> FallbackLayer<LastGood<F, K, Response>> {
    /// Creates a layer that substitutes the last good answer to a request with the same `key(request)`. A request
    /// without a key has none; give one only to what reads, and let it name everything that the answer depends on:
    /// whoever asks, too.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::FallbackLayer;
    /// use steadfast_guard::fallback::{LastGood, LastGoodPolicy};
    ///
    /// type Answer = http::Response<String>;
    /// let key = |request: &http::Request<()>| {
    ///     (request.method() == http::Method::GET).then(|| request.uri().path().to_owned())
    /// };
    /// let layer: FallbackLayer<LastGood<_, _, Answer>> = FallbackLayer::last_good(LastGoodPolicy::default(), key);
    /// ```
    pub fn last_good<Req>(policy: LastGoodPolicy, key: F) -> Self
    where
        F: Fn(&Req) -> Option<K>,
    {
        Self::new(LastGood::new(policy, key, |_, _| {}))
    }

    /// As [`last_good`](Self::last_good), and marks each answer that stands in for another by `mark(answer, age)`, so that
    /// nobody takes it for a fresh one. The age is the time since the callee gave it.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use steadfast_guard::FallbackLayer;
    /// use steadfast_guard::fallback::{LastGood, LastGoodPolicy};
    ///
    /// type Answer = http::Response<String>;
    /// let key = |request: &http::Request<()>| Some(request.uri().path().to_owned());
    /// let mark = |answer: &mut Answer, age: Duration| {
    ///     answer.headers_mut().insert("age", age.as_secs().into());
    /// };
    /// let layer: FallbackLayer<LastGood<_, _, Answer>> =
    ///     FallbackLayer::last_good_marked(LastGoodPolicy::default(), key, mark);
    /// ```
    pub fn last_good_marked<Req>(policy: LastGoodPolicy, key: F, mark: fn(&mut Response, Duration)) -> Self
    where
        F: Fn(&Req) -> Option<K>,
    {
        Self::new(LastGood::new(policy, key, mark))
    }
}

impl<D> FallbackLayer<Degraded<D>> {
    /// Creates a layer that asks `service` instead, while the request's deadline has not passed. If that fails too,
    /// the caller gets the first failure.
    pub fn degraded(service: D) -> Self {
        Self::new(Degraded(service))
    }
}

impl<F> FallbackLayer<F> {
    /// Creates a layer with a [`Substitute`](super::Substitute) of your own.
    pub fn new(substitute: F) -> Self {
        Self { shared: Arc::new(Shared { substitute, substituted: AtomicU64::new(0) }) }
    }

    /// Returns how many failures something was substituted for so far.
    pub fn substituted(&self) -> u64 {
        self.shared.substituted.load(Ordering::Relaxed)
    }
}

impl<S, F> Layer<S> for FallbackLayer<F> {
    type Service = FallbackService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackService::new(inner, Arc::clone(&self.shared))
    }
}

impl<F> Clone for FallbackLayer<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<F: fmt::Debug> fmt::Debug for FallbackLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("substitute", &self.shared.substitute)
            .field("substituted", &self.substituted())
            .finish()
    }
}
