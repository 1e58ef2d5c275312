//! The service that [`ServerDeadlineLayer`] makes.

use std::task::{Context, Poll};

use steadfast_base::{Context as _, ContextMut, Deadline};
use tower_service::Service;

use super::ServerDeadlineLayer;
use crate::deadline::remaining_time;

/// Sets the deadline of each request and passes it on; made by [`ServerDeadlineLayer`].
#[derive(Debug, Clone)]
pub struct ServerDeadlineService<S> {
    pub(crate) inner: S,
    pub(crate) policy: ServerDeadlineLayer,
}

impl<S> ServerDeadlineService<S> {
    pub(super) fn new(inner: S, policy: ServerDeadlineLayer) -> Self {
        Self { inner, policy }
    }
}

impl<S, B> Service<http::Request<B>> for ServerDeadlineService<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let stated = remaining_time(|name| request.headers().get(name).map(|value| value.as_bytes()));
        let deadline = Deadline::within(stated.unwrap_or(self.policy.default).min(self.policy.max));
        // A layer above may have set one already; the earlier counts.
        let deadline = request.deadline().map_or(deadline, |above| above.earliest(deadline));
        request.set_deadline(deadline);
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    async fn remaining(headers: &[(&str, &str)]) -> Duration {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let layer = ServerDeadlineLayer { default: Duration::from_secs(3), max: Duration::from_secs(10) };
        let service = layer.layer(service_fn(|request: http::Request<()>| async move {
            Ok::<_, Infallible>(request.deadline().map(Deadline::remaining))
        }));
        let Ok(remaining) = service.oneshot(request.body(()).expect("a valid request")).await;
        remaining.expect("the layer sets a deadline")
    }

    #[tokio::test(start_paused = true)]
    async fn reads_what_the_caller_states() {
        let envoy = "x-envoy-expected-rq-timeout-ms";
        assert_eq!(remaining(&[("grpc-timeout", "250m")]).await, Duration::from_millis(250));
        assert_eq!(remaining(&[(envoy, "400")]).await, Duration::from_millis(400));
        let both = [("grpc-timeout", "2S"), (envoy, "400")];
        assert_eq!(remaining(&both).await, Duration::from_millis(400));
    }

    #[tokio::test(start_paused = true)]
    async fn defaults_and_cuts() {
        assert_eq!(remaining(&[]).await, Duration::from_secs(3));
        assert_eq!(remaining(&[("grpc-timeout", "soon")]).await, Duration::from_secs(3));
        assert_eq!(remaining(&[("grpc-timeout", "1H")]).await, Duration::from_secs(10));
        assert_eq!(remaining(&[("grpc-timeout", "0n")]).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_from_above_stays() {
        let mut request = http::Request::new(());
        request.set_deadline(Deadline::within(Duration::from_millis(5)));
        let service =
            ServerDeadlineLayer::default().layer(service_fn(|request: http::Request<()>| async move {
                Ok::<_, Infallible>(request.deadline())
            }));
        let Ok(deadline) = service.oneshot(request).await;
        assert_eq!(deadline.map(Deadline::remaining), Some(Duration::from_millis(5)));
    }
}
