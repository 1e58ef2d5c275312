//! The service that [`ServerTimingLayer`](super::ServerTimingLayer) makes.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_service::Service;

use super::ServerTimingFuture;

/// Measures how long answers take; made by [`ServerTimingLayer`](super::ServerTimingLayer).
#[derive(Debug, Clone)]
pub struct ServerTimingService<S> {
    pub(crate) inner: S,
}

impl<S> ServerTimingService<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, Req, B> Service<Req> for ServerTimingService<S>
where
    S: Service<Req, Response = http::Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ServerTimingFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let started = Instant::now();
        ServerTimingFuture::new(self.inner.call(request), started)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use steadfast_base::Classify;
    use tokio::time::sleep;
    use tower::{Layer, ServiceExt, service_fn};

    use crate::deadline::ServerTimingLayer;

    #[tokio::test(start_paused = true)]
    async fn says_how_long_it_took_unless_the_handler_does() {
        for (own, expected) in [(None, 25), (Some("total;dur=7"), 7)] {
            let handler = service_fn(|_: http::Request<()>| async {
                sleep(Duration::from_millis(25)).await;
                let mut response = http::Response::new(());
                if let Some(own) = own {
                    response.headers_mut().insert("server-timing", http::HeaderValue::from_static(own));
                }
                Ok::<_, Infallible>(response)
            });
            let Ok(response) = ServerTimingLayer.layer(handler).oneshot(http::Request::new(())).await;
            let took = response.service_time().expect("it is said").as_millis();
            // The timer's grain is a millisecond.
            assert!((expected..=expected + 1).contains(&took), "{took}");
        }
    }
}
