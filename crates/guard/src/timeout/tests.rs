use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Context as _, ContextMut, Deadline};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt};

use super::*;
use crate::testing::{Answer, Callee, Request, success};
use crate::{Error, Rejection};

const MS: Duration = Duration::from_millis(1);

/// Sends a request with `remaining` to a callee that takes `latency`; returns the answer, the time it took and the time
/// that the callee was given.
async fn call(
    after: Duration,
    remaining: Option<Duration>,
    latency: Duration,
) -> (Answer, Duration, Option<Duration>) {
    let given = Mutex::new(None);
    let callee = Callee::new(|_, request: Request| {
        *given.lock() = request.deadline().map(Deadline::remaining);
        async move {
            sleep(latency).await;
            success()
        }
    });
    let mut request = Request::new(());
    if let Some(remaining) = remaining {
        request.set_deadline(Deadline::within(remaining));
    }
    let start = Instant::now();
    let answer = TimeoutLayer::new(after).layer(callee).oneshot(request).await;
    (answer, start.elapsed(), given.into_inner())
}

#[tokio::test(start_paused = true)]
async fn gives_up_what_takes_too_long_and_tells_the_callee_how_long_it_has() {
    let (answer, took, given) = call(50 * MS, None, 49 * MS).await;
    assert!(answer.is_ok());
    assert!(took < 50 * MS);
    assert_eq!(given, Some(50 * MS));
    let (answer, took, _) = call(50 * MS, None, 52 * MS).await;
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::TimedOut { after: 50 * MS })));
    assert!((50..=51).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_goes_first_and_is_told_as_such() {
    let (answer, took, given) = call(50 * MS, Some(20 * MS), 100 * MS).await;
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::DeadlineExceeded)));
    assert_eq!(given, Some(20 * MS));
    assert!((20..=21).contains(&took.as_millis()), "{took:?}");
    let (answer, _, given) = call(50 * MS, Some(80 * MS), 100 * MS).await;
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::TimedOut { after: 50 * MS })));
    assert_eq!(given, Some(50 * MS));
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_when_nobody_waits() {
    let callee = Callee::new(|_, _| async { success() });
    let calls = callee.calls();
    let mut request = Request::new(());
    request.set_deadline(Deadline::within(Duration::ZERO));
    let answer = TimeoutLayer::default().layer(callee).oneshot(request).await;
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::DeadlineExceeded)));
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_time_that_nobody_can_wait_for_is_cut() {
    assert!(call(Duration::MAX, None, MS).await.0.is_ok());
}

/// Such a call uses up the budget of its task, each time that it is polled.
#[tokio::test]
async fn a_call_that_never_lacks_work_ends_too() {
    let busy = tower::service_fn(|_: Request| async {
        loop {
            tokio::task::consume_budget().await;
        }
        #[allow(unreachable_code, reason = "it says what the answer would be")]
        success()
    });
    let call = TimeoutLayer::new(20 * MS).layer(busy).oneshot(Request::new(()));
    let answer: Answer = tokio::time::timeout(500 * 20 * MS, call).await.expect("it ends");
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::TimedOut { after: 20 * MS })));
}
