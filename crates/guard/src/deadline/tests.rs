use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use steadfast_base::{Class, Classify, Context as _, ContextMut as _, Deadline};
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::{Error, Rejection};

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
    let mut service =
        ServiceBuilder::new().layer(DeadlineLayer::default()).service(service_fn(|_: http::Request<()>| {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Ok::<_, Error<std::convert::Infallible>>(())
            }
        }));
    let mut future = Box::pin(service.call(http::Request::new(())));
    assert_eq!(Arc::strong_count(&held), 2);
    assert_eq!((&mut future).await, Err(Error::Rejected(Rejection::DeadlineExceeded)));
    // The future itself is still there.
    assert_eq!(Arc::strong_count(&held), 1);
    drop(future);
}

/// What the callee says it took.
struct Took(Duration);

impl Classify for Took {
    fn classify(&self) -> Class {
        Class::Success
    }

    fn service_time(&self) -> Option<Duration> {
        Some(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_back_what_calls_were_measured_to_lose() {
    let work = Duration::from_millis(30);
    let policy = DeadlinePolicy {
        overhead: Measured::within(Duration::from_millis(2), Duration::from_secs(1)),
        default: Duration::from_secs(1),
    };
    let given = parking_lot::Mutex::new(Vec::new());
    let mut service = ServiceBuilder::new().layer(DeadlineLayer::from(policy.clone())).service(service_fn(
        |request: http::Request<()>| {
            given.lock().push(request.deadline().map(Deadline::remaining).unwrap_or_default());
            async move {
                // There and back take 5 ms each.
                sleep(work + Duration::from_millis(10)).await;
                Ok::<_, Error<std::convert::Infallible>>(Took(work))
            }
        },
    ));
    for _ in 0..100 {
        assert!(service.ready().await.expect("ready").call(http::Request::new(())).await.is_ok());
    }
    let given = given.into_inner();
    assert_eq!(given[0], Duration::from_millis(998), "nothing is known yet");
    let kept_back = Duration::from_secs(1) - given[99];
    assert!((10..13).contains(&kept_back.as_millis()), "{kept_back:?}");
    assert_eq!(policy.overhead.current(), kept_back, "clones learn together");
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_says_nothing_teaches_nothing() {
    let layer = DeadlineLayer::measured(Duration::from_secs(1));
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(|request: http::Request<()>| {
        let given = request.deadline().map(Deadline::remaining);
        async move {
            sleep(Duration::from_millis(40)).await;
            let mut response = http::Response::new(());
            response.extensions_mut().insert(given);
            Ok::<_, Error<std::convert::Infallible>>(response)
        }
    }));
    for _ in 0..20 {
        let response =
            service.ready().await.expect("ready").call(http::Request::new(())).await.expect("in time");
        let given = response.extensions().get::<Option<Duration>>().copied().flatten();
        assert_eq!(given, Some(Duration::from_millis(999)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_there_when_the_time_is_up_is_handed_out() {
    let (result, _) = call(Some(Duration::from_millis(100)), Duration::from_millis(80)).await;
    assert!(result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_time_that_nobody_can_wait_for_is_cut() {
    let layer = DeadlineLayer::new(Duration::ZERO, Duration::MAX);
    let service = ServiceBuilder::new().layer(layer).service(service_fn(|_: http::Request<()>| async {
        tokio::task::yield_now().await;
        Ok::<_, Error<std::convert::Infallible>>(())
    }));
    assert_eq!(service.oneshot(http::Request::new(())).await, Ok(()));
    // The overhead is larger than any clock.
    let layer = DeadlineLayer::new(Duration::MAX, Duration::from_secs(1));
    let service = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(|_: http::Request<()>| async { Ok::<_, Error<std::convert::Infallible>>(()) }));
    assert_eq!(
        service.oneshot(http::Request::new(())).await,
        Err(Error::Rejected(Rejection::DeadlineExceeded))
    );
}
