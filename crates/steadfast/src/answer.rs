//! Answers to what guards refuse: to HTTP a problem document, to gRPC a status.
//!
//! A guard ends a call by a [`Rejection`]; a server has to answer it. [`AnswerLayer`] stands above the guards and does:
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | no time | 504 | `DEADLINE_EXCEEDED` |
//! | too often | 429, `RateLimit`, `RateLimit-Policy` | `RESOURCE_EXHAUSTED` |
//! | open breaker, no room, overload | 503 | `UNAVAILABLE` |
//! | when to come back, if it is known | `Retry-After` | `grpc-retry-pushback-ms` |
//! | that a repetition cannot help | – | `grpc-retry-pushback-ms: -1` |
//! | what happened | a problem document ([`Problem`]), with the name of the guard | `grpc-message`, in a response of trailers alone |
//!
//! # Examples
//! ```
//! use axum::Router;
//! use axum::routing::get;
//! use steadfast::answer::AnswerLayer;
//! use steadfast::guard::stack::{IncomingSettings, Stack};
//! use steadfast::guard::{BulkheadPolicy, Error};
//! use tower::ServiceBuilder;
//!
//! # fn main() -> Result<(), steadfast::guard::stack::Error> {
//! let stack = Stack::incoming("orders").bulkhead(BulkheadPolicy::default()).build()?;
//! let router: Router = Router::new().route("/", get(async || "all is well")).layer(
//!     ServiceBuilder::new().layer(AnswerLayer::new("orders")).layer(stack).map_err(Error::Inner),
//! );
//! # let _ = router;
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use axum::response::IntoResponse;
use pin_project_lite::pin_project;
use steadfast_base::{Class, Classify};
use steadfast_guard::rate_limit::{self, rate_limit_headers};
use steadfast_guard::{Error, Rejection};
use tower_layer::Layer;
use tower_service::Service;

use crate::problem::Problem;

/// Answers requests that a guard below has refused; see the [module](crate::answer).
#[derive(Debug, Clone)]
pub struct AnswerLayer {
    quota: Arc<str>,
}

impl AnswerLayer {
    /// Creates a layer; answers call the quota that was exceeded `quota`.
    pub fn new(quota: impl Into<Arc<str>>) -> Self {
        Self { quota: quota.into() }
    }
}

impl<S> Layer<S> for AnswerLayer {
    type Service = AnswerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AnswerService { inner, quota: Arc::clone(&self.quota) }
    }
}

/// Calls the service within and answers what its guards refuse; made by [`AnswerLayer`].
#[derive(Debug, Clone)]
pub struct AnswerService<S> {
    inner: S,
    quota: Arc<str>,
}

impl<S, B, E> Service<Request<B>> for AnswerService<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Error<E>>,
{
    type Response = Response<Body>;
    type Error = E;
    type Future = AnswerFuture<S::Future>;

    /// Becomes ready when the service within does. A guard that refuses there leaves nobody to answer; no guard of
    /// Steadfast does, and the service counts as ready then.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(match ready!(self.inner.poll_ready(cx)) {
            Ok(()) | Err(Error::Rejected(_)) => Ok(()),
            Err(Error::Inner(error)) => Err(error),
        })
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (is_grpc, quota) = (is_grpc(request.headers()), Arc::clone(&self.quota));
        AnswerFuture { call: self.inner.call(request), is_grpc, quota }
    }
}

pin_project! {
    /// The answer of an [`AnswerService`]. Dropping it drops the call.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct AnswerFuture<F> {
        #[pin]
        call: F,
        is_grpc: bool,
        quota: Arc<str>,
    }
}

impl<F, E> Future for AnswerFuture<F>
where
    F: Future<Output = Result<Response<Body>, Error<E>>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.call.poll(cx)) {
            Ok(response) => Ok(response),
            Err(Error::Inner(error)) => Err(error),
            Err(Error::Rejected(rejection)) => Ok(answer(&rejection, this.quota, *this.is_grpc)),
        })
    }
}

/// Returns the answer to a request that was ended by `rejection`: of HTTP, or of gRPC. It calls the quota that was
/// exceeded `quota`.
pub fn answer(rejection: &Rejection, quota: &str, is_grpc: bool) -> Response<Body> {
    tracing::debug!(guard = rejection.guard(), %rejection, "a guard ended a request");
    let mut response =
        if is_grpc { trailers_only(rejection) } else { Problem::from(*rejection).into_response() };
    if let Rejection::RateLimited(rate_limit::Error::Limited { quota: limit, retry_after }) = rejection {
        rate_limit_headers(response.headers_mut(), quota, *limit, 0, *retry_after);
    }
    response
}

/// Makes a gRPC response that has no message, so that its trailers stand where headers do
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
fn trailers_only(rejection: &Rejection) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(rejection.grpc_code()));
    let message = percent_encoded(&rejection.to_string());
    headers.insert(
        "grpc-message",
        HeaderValue::try_from(message).expect("only what may stand in a header is left"),
    );
    let pushback = match (rejection.classify(), rejection.retry_after()) {
        (Class::Permanent, _) => Some(HeaderValue::from_static("-1")),
        (_, wait) => wait.map(|wait| HeaderValue::from(milliseconds(wait))),
    };
    if let Some(pushback) = pushback {
        headers.insert("grpc-retry-pushback-ms", pushback);
    }
    response
}

/// Rounds up: whoever comes back then is not early.
fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Encodes what may not stand in `grpc-message`: all but printable ASCII, and the percent sign.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;
    use serde_json::Value;
    use steadfast_base::{Pushback, pushback};
    use steadfast_guard::rate_limit::{Quota, RateLimiter};
    use steadfast_guard::{bulkhead, shed};
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    /// Sends a request through the layer to guards that end it by `rejection`.
    async fn refused(rejection: Rejection, content_type: Option<&'static str>) -> Response<Body> {
        let mut request = Request::new(Body::empty());
        if let Some(kind) = content_type {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let guarded = service_fn(async |_: Request<Body>| Err(Error::<Infallible>::Rejected(rejection)));
        let Ok(response) =
            ServiceBuilder::new().layer(AnswerLayer::new("tenant")).service(guarded).oneshot(request).await;
        response
    }

    fn limited() -> Rejection {
        let limiter = RateLimiter::new(Quota::per_minute(1));
        limiter.try_acquire(1).expect("the first conforms");
        limiter.try_acquire(1).expect_err("the second does not").into()
    }

    fn all() -> Vec<Rejection> {
        let after = Duration::from_micros(1500);
        vec![
            Rejection::DeadlineExceeded,
            Rejection::AttemptTimedOut { after },
            Rejection::TimedOut { after },
            Rejection::BreakerOpen { retry_after: after },
            limited(),
            rate_limit::Error::ExceedsBurst { permits: 9, burst: 1 }.into(),
            bulkhead::Error::Full.into(),
            shed::Error::Waited.into(),
        ]
    }

    #[tokio::test]
    async fn http_gets_a_problem_document_with_the_status_and_the_guard() {
        let mut statuses = Vec::new();
        for rejection in all() {
            let response = refused(rejection, Some("application/json")).await;
            let status = response.status().as_u16();
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let retry_after = response.headers().get("retry-after").cloned();
            let seconds = rejection.retry_after().map(|wait| wait.as_secs_f64().ceil().to_string());
            assert_eq!(retry_after.map(|value| value.to_str().expect("a number").to_owned()), seconds);
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let (guard, detail) = (rejection.guard(), rejection.to_string());
            assert_eq!(
                (&body["status"], &body["guard"], &body["detail"]),
                (&status.into(), &guard.into(), &detail.into())
            );
            statuses.push((guard, status));
        }
        let expected = [
            ("deadline", 504),
            ("retry", 504),
            ("timeout", 504),
            ("breaker", 503),
            ("rateLimit", 429),
            ("rateLimit", 429),
            ("bulkhead", 503),
            ("shed", 503),
        ];
        assert_eq!(statuses, expected);
    }

    #[tokio::test]
    async fn grpc_gets_a_status_and_pushback_in_a_response_without_message() {
        for rejection in all() {
            let response = refused(rejection, Some("application/grpc+proto")).await;
            assert_eq!(
                (response.status().as_u16(), &response.headers()["content-type"]),
                (200, &HeaderValue::from_static("application/grpc"))
            );
            assert_eq!(response.headers()["grpc-status"], rejection.grpc_code().to_string());
            let asked = pushback(|name| response.headers().get(name).map(HeaderValue::as_bytes));
            let expected = match (rejection.classify(), rejection.retry_after()) {
                (Class::Permanent, _) => Pushback::Never,
                (_, Some(wait)) => Pushback::After(Duration::from_millis(milliseconds(wait))),
                (_, None) => Pushback::Unstated,
            };
            assert_eq!(asked, expected, "{rejection}");
            assert!(response.into_body().collect().await.expect("a body").to_bytes().is_empty());
        }
        let response =
            refused(Rejection::TimedOut { after: Duration::from_micros(7) }, Some("application/grpc")).await;
        assert_eq!(response.headers()["grpc-message"], "no answer within 7%C2%B5s");
    }

    #[tokio::test]
    async fn an_exceeded_quota_is_stated() {
        for kind in [None, Some("application/grpc")] {
            let response = refused(limited(), kind).await;
            assert_eq!(response.headers()["ratelimit-policy"], r#""tenant";q=1;w=60"#);
            assert_eq!(response.headers()["ratelimit"], r#""tenant";r=0;t=60"#);
        }
    }

    #[tokio::test]
    async fn what_the_service_within_says_is_passed_on() {
        let fails = service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(Error::Inner("own")));
        let service = ServiceBuilder::new().layer(AnswerLayer::new("q")).service(fails);
        assert_eq!(service.oneshot(Request::new(Body::empty())).await.expect_err("it fails"), "own");
    }
}
