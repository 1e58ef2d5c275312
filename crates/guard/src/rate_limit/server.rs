//! The layer for HTTP and gRPC servers, which answers itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::future::Admission;
use super::headers::{is_grpc, refusal, write};
use super::{Decision, Limit, Quota, RateLimitPolicy};

/// Limits the rate of incoming HTTP requests. What is refused is answered with 429, or for gRPC with
/// `RESOURCE_EXHAUSTED`; each answer says how much of the quota is left and when all of it will be.
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::{HttpRateLimitLayer, Key, KeyedRateLimiter, Quota};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::convert::Infallible> {
/// let limiter = KeyedRateLimiter::new(Quota::per_minute(1), 100_000);
/// let by_tenant = limiter.by(|request: &http::Request<String>| Key::of(&request.headers().get("x-tenant")));
/// let mut service = ServiceBuilder::new()
///     .layer(HttpRateLimitLayer::new("tenant", by_tenant))
///     .service(service_fn(|_: http::Request<String>| async {
///         Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
///     }));
/// let response = service.ready().await?.call(http::Request::default()).await?;
/// assert_eq!(response.headers()["ratelimit"], r#""tenant";r=0;t=60"#);
/// let response = service.ready().await?.call(http::Request::default()).await?;
/// assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"60".parse().unwrap()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HttpRateLimitLayer<L> {
    name: Arc<str>,
    limit: L,
    policy: RateLimitPolicy,
}

impl<L> HttpRateLimitLayer<L> {
    /// Creates a layer whose services share `limit`, which answers call `name`, and refuse at once what does not
    /// conform.
    pub fn new(name: impl Into<Arc<str>>, limit: L) -> Self {
        Self { name: name.into(), limit, policy: RateLimitPolicy::default() }
    }

    /// Returns the same layer with another policy.
    #[must_use]
    pub fn with_policy(self, policy: RateLimitPolicy) -> Self {
        Self { policy, ..self }
    }
}

impl<S, L: Clone> Layer<S> for HttpRateLimitLayer<L> {
    type Service = HttpRateLimitService<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpRateLimitService { inner, layer: self.clone() }
    }
}

/// Calls the service within at a limited rate; made by [`HttpRateLimitLayer`].
#[derive(Debug, Clone)]
pub struct HttpRateLimitService<S, L> {
    inner: S,
    layer: HttpRateLimitLayer<L>,
}

impl<S, L, B, R> Service<Request<B>> for HttpRateLimitService<S, L>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    L: Limit<Request<B>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = HttpRateLimitFuture<S, Request<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let HttpRateLimitLayer { name, limit, policy } = &self.layer;
        HttpRateLimitFuture {
            is_grpc: is_grpc(request.headers()),
            name: Arc::clone(name),
            quota: limit.quota(),
            admission: Admission::new(&mut self.inner, request, limit, *policy),
        }
    }
}

pin_project! {
    /// The answer of an [`HttpRateLimitService`]. Dropping it drops the call, or gives the permits back if the call was
    /// still waiting.
    #[must_use = "futures do nothing unless polled"]
    pub struct HttpRateLimitFuture<S, Req>
    where
        S: Service<Req>,
    {
        is_grpc: bool,
        name: Arc<str>,
        quota: Quota,
        #[pin]
        admission: Admission<S, Req, Decision>,
    }
}

impl<S, Req, R> Future for HttpRateLimitFuture<S, Req>
where
    S: Service<Req, Response = Response<R>>,
    R: Default,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.admission.poll(cx)) {
            Ok((decision, Ok(mut response))) => {
                write(response.headers_mut(), this.name, *this.quota, decision);
                Ok(response)
            }
            Ok((_, Err(error))) => Err(error),
            Err(error) => Ok(refusal(this.name, error, *this.is_grpc)),
        })
    }
}
