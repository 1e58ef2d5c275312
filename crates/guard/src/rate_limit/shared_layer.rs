//! The layer over a limiter that several processes share.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Decision, Error, SharedLimiter};
use crate::Rejection;

/// Lets calls through at a rate that several processes share, by the quota of a key that is read from the request.
///
/// Each call asks the limiter first, which for one in another process is a round trip and an allocation. The limiter
/// bounds that time, and decides by itself what passes while the quotas cannot be reached, as the one in Redis does by
/// the local share.
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::{KeyedRateLimiter, Quota};
/// use steadfast_guard::{Error, SharedRateLimitLayer};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error<std::convert::Infallible>> {
/// let limiter = KeyedRateLimiter::new(Quota::per_second(1), 1000);
/// let tenant = |request: &http::Request<()>| {
///     let name = request.headers().get("x-tenant").and_then(|name| name.to_str().ok());
///     name.unwrap_or("nobody").to_owned()
/// };
/// let mut service = ServiceBuilder::new()
///     .layer(SharedRateLimitLayer::new(limiter, tenant))
///     .map_err(Error::Inner)
///     .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
/// service.ready().await?.call(http::Request::new(())).await?;
/// assert!(service.ready().await?.call(http::Request::new(())).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedRateLimitLayer<L, F> {
    limiter: Arc<L>,
    key: F,
}

impl<L, F> SharedRateLimitLayer<L, F> {
    /// Creates a layer that takes one permit of the quota of `key(request)` for each request, and refuses what does not
    /// conform.
    pub fn new(limiter: L, key: F) -> Self {
        Self { limiter: Arc::new(limiter), key }
    }
}

impl<S, L, F: Clone> Layer<S> for SharedRateLimitLayer<L, F> {
    type Service = SharedRateLimitService<S, L, F>;

    fn layer(&self, inner: S) -> Self::Service {
        SharedRateLimitService { inner, limiter: Arc::clone(&self.limiter), key: self.key.clone() }
    }
}

/// Calls the service within at a shared rate; made by [`SharedRateLimitLayer`].
pub struct SharedRateLimitService<S, L, F> {
    inner: S,
    limiter: Arc<L>,
    key: F,
}

impl<S, L, F, Req> Service<Req> for SharedRateLimitService<S, L, F>
where
    S: Service<Req> + Clone,
    S::Error: From<Rejection>,
    L: SharedLimiter<Error = Infallible> + 'static,
    F: Fn(&Req) -> String,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = SharedRateLimitFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (limiter, key) = (Arc::clone(&self.limiter), (self.key)(&request));
        let asking: Asking = Box::pin(async move {
            match limiter.acquire(&key, 1).await {
                Ok(decided) => decided,
                Err(never) => match never {},
            }
        });
        // The one that was polled ready goes with the call, and takes with it what it has reserved.
        let next = self.inner.clone();
        let call = Some((mem::replace(&mut self.inner, next), request));
        SharedRateLimitFuture { state: State::Asking { asking, call } }
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<Decision, Error>> + Send>>;

pin_project! {
    /// The answer of a [`SharedRateLimitService`]. Dropping it drops the call; a permit that was taken stays taken.
    #[must_use = "futures do nothing unless polled"]
    pub struct SharedRateLimitFuture<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, Req>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Req>
    where
        S: Service<Req>,
    {
        Asking { asking: Asking, call: Option<(S, Req)> },
        Calling { #[pin] call: S::Future },
    }
}

impl<S, Req> Future for SharedRateLimitFuture<S, Req>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Asking { asking, call } => {
                    let decided = ready!(asking.as_mut().poll(cx));
                    let (mut service, request) = call.take().expect("polled after it was ready");
                    if let Err(error) = decided {
                        return Poll::Ready(Err(Rejection::RateLimited(error).into()));
                    }
                    let call = service.call(request);
                    state.set(State::Calling { call });
                }
                StateProjection::Calling { call } => return call.poll(cx),
            }
        }
    }
}

impl<S: Clone, L, F: Clone> Clone for SharedRateLimitService<S, L, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limiter: Arc::clone(&self.limiter), key: self.key.clone() }
    }
}

impl<L: fmt::Debug, F> fmt::Debug for SharedRateLimitLayer<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedRateLimitLayer").field(&self.limiter).finish()
    }
}

impl<S: fmt::Debug, L: fmt::Debug, F> fmt::Debug for SharedRateLimitService<S, L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRateLimitService")
            .field("inner", &self.inner)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
