//! The service that [`DeadlineLayer`] makes.

use std::task::{Context, Poll};

use steadfast_base::{ContextMut, Deadline};
use tower_service::Service;

use super::{DeadlineFuture, DeadlineLayer};
use crate::Rejection;

/// Bounds each call of the service within; made by [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct DeadlineService<S> {
    inner: S,
    policy: DeadlineLayer,
}

impl<S> DeadlineService<S> {
    pub(super) fn new(inner: S, policy: DeadlineLayer) -> Self {
        Self { inner, policy }
    }
}

impl<S, Req> Service<Req> for DeadlineService<S>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
    Req: ContextMut,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Req) -> Self::Future {
        let inbound = request.deadline().unwrap_or_else(|| Deadline::within(self.policy.default));
        match inbound.derive(self.policy.overhead) {
            Ok(deadline) => {
                request.set_deadline(deadline);
                DeadlineFuture::calling(self.inner.call(request), deadline)
            }
            Err(_) => DeadlineFuture::refused(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use steadfast_base::Context as _;
    use tokio::time::Instant;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::Error;

    type Result = std::result::Result<Duration, Error<std::convert::Infallible>>;

    const OVERHEAD: Duration = Duration::from_millis(20);

    /// Sends a request with `remaining` to a callee that answers after `latency` with the time it was given.
    async fn call(remaining: Option<Duration>, latency: Duration) -> (Result, u32) {
        let sent = AtomicU32::new(0);
        let callee = ServiceBuilder::new()
            .layer(DeadlineLayer::new(OVERHEAD, Duration::from_secs(3)))
            .map_err(Error::Inner)
            .service(service_fn(|request: http::Request<()>| {
                sent.fetch_add(1, Ordering::Relaxed);
                let given = request.deadline().map(Deadline::remaining);
                async move {
                    tokio::time::sleep(latency).await;
                    Ok(given.unwrap_or_default())
                }
            }));
        let mut request = http::Request::new(());
        if let Some(remaining) = remaining {
            request.set_deadline(Deadline::within(remaining));
        }
        let result = callee.oneshot(request).await;
        (result, sent.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn hands_down_what_is_left_less_the_overhead() {
        let (result, _) = call(Some(Duration::from_millis(100)), Duration::ZERO).await;
        assert_eq!(result, Ok(Duration::from_millis(80)));
        let (result, _) = call(None, Duration::ZERO).await;
        assert_eq!(result, Ok(Duration::from_millis(2980)));
    }

    #[tokio::test(start_paused = true)]
    async fn sends_nothing_when_nothing_is_left() {
        for remaining in [Duration::ZERO, OVERHEAD / 2, OVERHEAD] {
            let (result, sent) = call(Some(remaining), Duration::ZERO).await;
            assert_eq!((result, sent), (Err(Error::Rejected(Rejection::DeadlineExceeded)), 0));
        }
        let (result, sent) = call(Some(OVERHEAD + Duration::from_millis(1)), Duration::ZERO).await;
        assert_eq!((result, sent), (Ok(Duration::from_millis(1)), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_when_the_time_is_up() {
        let start = Instant::now();
        let (result, sent) = call(Some(Duration::from_millis(100)), Duration::from_millis(200)).await;
        assert_eq!((result, sent), (Err(Error::Rejected(Rejection::DeadlineExceeded)), 1));
        // The timer's grain is a millisecond.
        assert!((80..=81).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn drops_the_call_before_it_answers() {
        // The call holds a clone of `held` as long as it lives.
        let held = Arc::new(());
        let mut service = ServiceBuilder::new().layer(DeadlineLayer::default()).service(service_fn(
            |_: http::Request<()>| {
                let held = Arc::clone(&held);
                async move {
                    std::future::pending::<()>().await;
                    drop(held);
                    Ok::<_, Error<std::convert::Infallible>>(())
                }
            },
        ));
        let mut future = Box::pin(service.call(http::Request::new(())));
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!((&mut future).await, Err(Error::Rejected(Rejection::DeadlineExceeded)));
        // The future itself is still there.
        assert_eq!(Arc::strong_count(&held), 1);
        drop(future);
    }
}
