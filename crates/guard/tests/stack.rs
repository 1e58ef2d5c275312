//! The guards in their order: what one does, the others see.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use steadfast_base::{Budget, Context, ContextMut, Deadline, Seed};
use steadfast_guard::breaker::Phase;
use steadfast_guard::{
    Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Error, Rejection, RetryLayer, RetryPolicy,
};
use tokio::time::{Instant, advance, sleep};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type Request = http::Request<()>;
type Answer = Result<http::Response<()>, Error<Infallible>>;

const MS: Duration = Duration::from_millis(1);

/// A callee that takes `latency(n)` for its call number `n`, behind all guards.
fn guarded(
    breaker: &Breaker,
    attempt_timeout: Option<Duration>,
    calls: &Arc<AtomicU32>,
    latency: impl Fn(u32) -> Duration + Clone,
) -> impl Service<Request, Response = http::Response<()>, Error = Error<Infallible>> + Clone {
    let policy = RetryPolicy { attempt_timeout, ..RetryPolicy::default() };
    let calls = Arc::clone(calls);
    ServiceBuilder::new()
        .layer(DeadlineLayer::new(20 * MS, Duration::from_secs(3)))
        .layer(RetryLayer::new(policy, Arc::new(Budget::new(1.0, 100)), Seed::new(1)))
        .layer(BreakerLayer::new(breaker.clone()))
        .map_err(Error::Inner)
        .service(service_fn(move |request: Request| {
            let latency = latency(calls.fetch_add(1, Ordering::Relaxed));
            assert!(request.deadline().is_some_and(|deadline| !deadline.is_expired()));
            async move {
                sleep(latency).await;
                Ok(http::Response::new(()))
            }
        }))
}

async fn call(
    service: &(impl Service<Request, Response = http::Response<()>, Error = Error<Infallible>> + Clone),
    remaining: Duration,
) -> Answer {
    let mut request = Request::new(());
    request.set_deadline(Deadline::within(remaining));
    service.clone().oneshot(request).await
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_is_late_for_half_its_calls_is_asked_again() {
    let breaker = Breaker::new("payment", BreakerPolicy { failure_ratio: 0.9, ..BreakerPolicy::default() });
    let calls = Arc::default();
    let late = |n: u32| if n.is_multiple_of(2) { 500 * MS } else { 5 * MS };
    let service = guarded(&breaker, Some(100 * MS), &calls, late);
    for _ in 0..100 {
        let start = Instant::now();
        assert!(call(&service, 400 * MS).await.is_ok());
        assert!(start.elapsed() <= 380 * MS, "{:?}", start.elapsed());
    }
    assert_eq!((calls.load(Ordering::Relaxed), breaker.counts().failed), (200, 100));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_sees_a_callee_that_is_too_slow_and_spares_the_callers_time() {
    for attempt_timeout in [None, Some(100 * MS)] {
        let breaker = Breaker::new("payment", BreakerPolicy::default());
        let calls = Arc::default();
        let service = guarded(&breaker, attempt_timeout, &calls, |n| if n < 20 { 500 * MS } else { MS });
        while breaker.phase() == Phase::Closed {
            assert!(call(&service, 400 * MS).await.is_err());
        }
        assert_eq!(calls.load(Ordering::Relaxed), 20, "20 calls are the least that say something");

        let start = Instant::now();
        let answer = call(&service, 400 * MS).await;
        let rejection = answer.expect_err("the breaker is open").rejection();
        assert!(matches!(rejection, Some(Rejection::BreakerOpen { .. })), "{rejection:?}");
        assert_eq!(start.elapsed(), Duration::ZERO, "a wait for the breaker would end after the deadline");

        advance(Duration::from_secs(1)).await;
        for _ in 0..3 {
            assert!(call(&service, 400 * MS).await.is_ok());
        }
        assert_eq!(breaker.phase(), Phase::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_time_waits_for_the_breaker() {
    let breaker =
        Breaker::new("payment", BreakerPolicy { consecutive_failures: Some(1), ..BreakerPolicy::default() });
    let calls = Arc::default();
    let service = guarded(&breaker, Some(100 * MS), &calls, |n| if n == 0 { 500 * MS } else { MS });
    // The first attempt is late and opens the breaker for a second, the second is refused, the third is a probe.
    assert!(call(&service, Duration::from_secs(3)).await.is_ok());
    assert_eq!((calls.load(Ordering::Relaxed), breaker.counts().refused), (2, 1));
}
