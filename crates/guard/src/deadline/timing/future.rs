//! The answer that says how long it took.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::HeaderValue;
use http::header::HeaderName;
use pin_project_lite::pin_project;
use tokio::time::Instant;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

pin_project! {
    /// The answer of a [`ServerTimingService`](super::ServerTimingService).
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct ServerTimingFuture<F> {
        #[pin]
        call: F,
        // None: it is not said.
        started: Option<Instant>,
    }
}

impl<F> ServerTimingFuture<F> {
    pub(super) fn new(call: F, started: Instant) -> Self {
        Self { call, started: Some(started) }
    }

    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: F) -> Self {
        Self { call, started: None }
    }
}

impl<F, B, E> Future for ServerTimingFuture<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut result = ready!(this.call.poll(cx));
        if let (Ok(response), Some(started)) = (&mut result, this.started) {
            let micros = started.elapsed().as_micros();
            let text = format!("total;dur={}.{:03}", micros / 1000, micros % 1000);
            let value = HeaderValue::try_from(text).expect("digits and a name are a valid header value");
            response.headers_mut().entry(SERVER_TIMING).or_insert(value);
        }
        Poll::Ready(result)
    }
}
