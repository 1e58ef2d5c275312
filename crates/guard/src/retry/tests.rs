use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{Backoff, Budget, Context as _, ContextMut, Deadline, Jitter, Seed};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

use super::*;
use crate::testing::{Answer, Callee, PERMANENT, Request, TRANSIENT, success};
use crate::{Error, Rejection};

const MS: Duration = Duration::from_millis(1);

/// Waits 100, 200, 400 … ms.
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(10),
    factor: 2.0,
    jitter: Jitter::None,
};

const POLICY: RetryPolicy = RetryPolicy {
    attempts_max: 3,
    backoff: BACKOFF,
    retry_after_max: Duration::from_secs(60),
    attempt_timeout: None,
    overall_timeout: None,
};

/// Sends one request with `remaining` and returns the answer, the attempts and the time it took.
async fn call<F, R>(
    policy: RetryPolicy,
    budget: &Arc<Budget>,
    remaining: Option<Duration>,
    answer: F,
) -> (Answer, u32, Duration)
where
    F: Fn(u32, Request) -> R,
    R: Future<Output = Answer>,
{
    let callee = Callee::new(answer);
    let calls = callee.calls();
    let service = RetryLayer::new(policy, Arc::clone(budget), Seed::new(1)).layer(callee);
    let mut request = Request::new(());
    if let Some(remaining) = remaining {
        request.set_deadline(Deadline::within(remaining));
    }
    let start = Instant::now();
    let answer = service.oneshot(request).await;
    (answer, calls.load(Ordering::Relaxed), start.elapsed())
}

fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(0.0, 100))
}

/// Says whether `took` is `expected`, up to the timer's grain of a millisecond for each of two waits.
fn about(took: Duration, expected: u64) -> bool {
    (expected..=expected + 2).contains(&(took.as_millis() as u64))
}

#[tokio::test(start_paused = true)]
async fn repeats_what_is_transient_until_it_succeeds() {
    let (answer, attempts, took) =
        call(POLICY, &budget(), None, |n, _| async move { if n < 2 { Err(TRANSIENT) } else { success() } })
            .await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 3);
    assert!(about(took, 300), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn repeats_a_response_that_is_transient() {
    let (answer, attempts, _) = call(POLICY, &budget(), None, |n, _| async move {
        let mut response = http::Response::new(());
        if n == 0 {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    })
    .await;
    assert_eq!((answer.map(|response| response.status().as_u16()), attempts), (Ok(200), 2));
}

#[tokio::test(start_paused = true)]
async fn hands_out_the_last_failure_after_the_last_attempt() {
    let (answer, attempts, took) = call(POLICY, &budget(), None, |_, _| async { Err(TRANSIENT) }).await;
    assert_eq!((answer.err(), attempts), (Some(TRANSIENT), 3));
    assert!(about(took, 300), "no wait after the last attempt: {took:?}");

    for attempts_max in [0, 1] {
        let policy = RetryPolicy { attempts_max, ..POLICY };
        let (_, attempts, _) = call(policy, &budget(), None, |_, _| async { Err(TRANSIENT) }).await;
        assert_eq!(attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_what_is_permanent() {
    let (answer, attempts, took) = call(POLICY, &budget(), None, |_, _| async { Err(PERMANENT) }).await;
    assert_eq!((answer.err(), attempts, took), (Some(PERMANENT), 1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn stops_when_the_budget_is_spent() {
    let budget = Arc::new(Budget::new(0.0, 1));
    let (_, attempts, _) = call(POLICY, &budget, None, |_, _| async { Err(TRANSIENT) }).await;
    assert_eq!(attempts, 2, "one repetition is left");
    let (answer, attempts, took) = call(POLICY, &budget, None, |_, _| async { Err(TRANSIENT) }).await;
    assert_eq!((answer.err(), attempts, took), (Some(TRANSIENT), 1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn each_call_earns_its_share() {
    let budget = Arc::new(Budget::new(0.5, 0));
    let mut attempts = 0;
    for _ in 0..10 {
        attempts += call(POLICY, &budget, None, |_, _| async { Err(TRANSIENT) }).await.1;
    }
    assert_eq!(attempts, 15);
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_callee_asks_and_its_own_back_off_besides() {
    let busy = |n, _| async move {
        let refused = Rejection::BreakerOpen { retry_after: 700 * MS };
        if n == 0 { Err(Error::Rejected(refused)) } else { success() }
    };
    let (answer, attempts, took) = call(POLICY, &budget(), None, busy).await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 2);
    assert!(about(took, 800), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn never_sleeps_past_the_deadline() {
    let budget = Arc::new(Budget::new(0.0, 5));
    // The second wait would end at 300 ms.
    let (answer, attempts, took) =
        call(POLICY, &budget, Some(300 * MS), |_, _| async { Err(TRANSIENT) }).await;
    assert_eq!((answer.err(), attempts), (Some(TRANSIENT), 2));
    assert!(about(took, 100), "{took:?}");
    assert_eq!(budget.available(), 4, "what was not repeated cost nothing");
    // A time that nobody can wait for.
    let policy = RetryPolicy {
        backoff: Backoff { initial: Duration::MAX, max: Duration::from_secs(1 << 62), ..BACKOFF },
        ..POLICY
    };
    let (_, attempts, took) = call(policy, &budget, Some(MS), |_, _| async { Err(TRANSIENT) }).await;
    assert_eq!((attempts, took), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_when_the_wait_ended_late() {
    // Timers have a grain of a millisecond, so that some of these waits end after the deadline.
    let wait = Duration::from_micros(100_500);
    let policy = RetryPolicy { backoff: Backoff { initial: wait, ..BACKOFF }, ..POLICY };
    for after in (100_u64..1100).step_by(100) {
        let remaining = wait + Duration::from_micros(after);
        let (answer, attempts, _) = call(policy, &budget(), Some(remaining), |_, request| {
            assert!(!request.deadline().is_some_and(Deadline::is_expired));
            async { Err(TRANSIENT) }
        })
        .await;
        let refused = Error::Rejected(Rejection::DeadlineExceeded);
        assert_eq!(answer.err(), Some(if attempts == 1 { refused } else { TRANSIENT }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_repeated() {
    let policy = RetryPolicy { attempt_timeout: Some(50 * MS), ..POLICY };
    let slow_once = |n, _| async move {
        if n == 0 {
            sleep(Duration::from_secs(60)).await;
        }
        success()
    };
    let (answer, attempts, took) = call(policy, &budget(), None, slow_once).await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 2);
    assert!(about(took, 150), "{took:?}");

    let (answer, attempts, _) = call(policy, &budget(), None, |_, _| std::future::pending()).await;
    let timed_out = Error::Rejected(Rejection::AttemptTimedOut { after: 50 * MS });
    assert_eq!((answer.err(), attempts), (Some(timed_out), 3));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_an_attempt_for_good() {
    for attempt_timeout in [None, Some(500 * MS)] {
        let policy = RetryPolicy { attempt_timeout, ..POLICY };
        let (answer, attempts, took) =
            call(policy, &budget(), Some(80 * MS), |_, _| std::future::pending()).await;
        assert_eq!((answer.err(), attempts), (Some(Error::Rejected(Rejection::DeadlineExceeded)), 1));
        assert!(about(took, 80), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_when_no_time_is_left() {
    let (answer, attempts, _) =
        call(POLICY, &budget(), Some(Duration::ZERO), |_, _| async { success() }).await;
    assert_eq!((answer.err(), attempts), (Some(Error::Rejected(Rejection::DeadlineExceeded)), 0));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_own_deadline() {
    let seen = Mutex::new(Vec::new());
    let policy = RetryPolicy { attempt_timeout: Some(200 * MS), ..POLICY };
    let (_, attempts, _) = call(policy, &budget(), Some(450 * MS), |_, request| {
        seen.lock().push(request.deadline().map(|deadline| deadline.remaining().as_millis()));
        async { Err(TRANSIENT) }
    })
    .await;
    assert_eq!(attempts, 3);
    let seen = seen.into_inner();
    assert_eq!(seen[..2], [Some(200), Some(200)]);
    // The third begins at 300 ms, or as much later as the timers' grain is.
    assert!(matches!(seen[2], Some(148..=150)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_become_ready_is_waited_for_within_the_attempt() {
    /// Ready for one call, and never again.
    #[derive(Clone)]
    struct Once(bool);
    impl Service<Request> for Once {
        type Response = http::Response<()>;
        type Error = crate::Error<crate::testing::Failure>;
        type Future = std::future::Ready<Answer>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
            if self.0 { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
        }
        fn call(&mut self, _: Request) -> Self::Future {
            self.0 = true;
            std::future::ready(Err(TRANSIENT))
        }
    }
    let policy = RetryPolicy { attempts_max: 2, attempt_timeout: Some(50 * MS), ..POLICY };
    let service = RetryLayer::new(policy, budget(), Seed::new(1)).layer(Once(false));
    let start = Instant::now();
    let answer = service.oneshot(Request::new(())).await;
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::AttemptTimedOut { after: 50 * MS })));
    assert!(about(start.elapsed(), 150), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_the_same_waits() {
    let full =
        RetryPolicy { attempts_max: 6, backoff: Backoff { jitter: Jitter::Full, ..BACKOFF }, ..POLICY };
    let run = async |seed| {
        let callee = Callee::new(|_, _| async { Err(TRANSIENT) });
        let service = RetryLayer::new(full, budget(), Seed::new(seed)).layer(callee);
        let start = Instant::now();
        let _ = service.oneshot(Request::new(())).await;
        start.elapsed().as_millis() / 6
    };
    let (first, again, other) = (run(1).await, run(1).await, run(2).await);
    assert!(first.abs_diff(again) <= 1, "{first} {again}");
    assert!(first.abs_diff(other) > 1, "{first} {other}");
}

#[tokio::test(start_paused = true)]
async fn the_overall_time_bounds_what_has_no_deadline() {
    let policy = RetryPolicy { overall_timeout: Some(250 * MS), ..POLICY };
    // The second wait would end at 300 ms.
    let (answer, attempts, took) = call(policy, &budget(), None, |_, _| async { Err(TRANSIENT) }).await;
    assert_eq!((answer.err(), attempts), (Some(TRANSIENT), 2));
    assert!(about(took, 100), "{took:?}");
    let refused = Some(Error::Rejected(Rejection::DeadlineExceeded));
    let (answer, attempts, took) = call(policy, &budget(), None, |_, _| std::future::pending()).await;
    assert_eq!((answer.err(), attempts), (refused.clone(), 1));
    assert!(about(took, 250), "{took:?}");
    // The earlier of the two counts.
    let (answer, _, took) = call(policy, &budget(), Some(80 * MS), |_, _| std::future::pending()).await;
    assert_eq!(answer.err(), refused);
    assert!(about(took, 80), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_asks_for_too_much_is_not_asked_again() {
    for (asked, attempts_expected) in [("60", 2), ("61", 1), ("86400", 1)] {
        let answer = |n, _| async move {
            let status = if n == 0 { 503 } else { 200 };
            let response = http::Response::builder().status(status).header("retry-after", asked);
            Ok(response.body(()).expect("a valid response"))
        };
        let (_, attempts, _) = call(POLICY, &budget(), None, answer).await;
        assert_eq!(attempts, attempts_expected, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_forbids_it_is_not_asked_again() {
    let answer = |_, _| async {
        let response =
            http::Response::builder().header("grpc-status", "14").header("grpc-retry-pushback-ms", "-1");
        Ok(response.body(()).expect("a valid response"))
    };
    let (answer, attempts, took) = call(POLICY, &budget(), None, answer).await;
    assert!(answer.is_ok());
    assert_eq!((attempts, took), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn decorrelated_waits_grow_from_the_last_one() {
    let backoff = Backoff { jitter: Jitter::Decorrelated, ..BACKOFF };
    let policy = RetryPolicy { attempts_max: 6, backoff, ..POLICY };
    let begun = Mutex::new(Vec::new());
    let _ = call(policy, &budget(), None, |_, _| {
        begun.lock().push(Instant::now());
        async { Err(TRANSIENT) }
    })
    .await;
    let begun = begun.into_inner();
    let mut last = 100;
    for pair in begun.windows(2) {
        let wait = (pair[1] - pair[0]).as_millis();
        assert!((100..=3 * last + 2).contains(&wait), "{wait} after {last}");
        last = wait;
    }
    assert_eq!(begun.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn counts_why_it_stops() {
    let budget = Arc::new(Budget::new(0.0, 3));
    let layer = RetryLayer::new(POLICY, Arc::clone(&budget), Seed::new(1));
    let send = async |remaining: Option<Duration>| {
        let mut request = Request::new(());
        if let Some(remaining) = remaining {
            request.set_deadline(Deadline::within(remaining));
        }
        let _ = layer.layer(Callee::new(|_, _| async { Err(TRANSIENT) })).oneshot(request).await;
    };
    send(None).await;
    send(Some(50 * MS)).await;
    send(Some(150 * MS)).await;
    let counts = layer.counts();
    assert_eq!((counts.repeated, counts.out_of_attempts, counts.out_of_time), (3, 1, 2));
    assert_eq!(counts.out_of_budget, 0);
    let spent = Arc::new(Budget::new(0.0, 0));
    let layer = RetryLayer::new(POLICY, spent, Seed::new(1));
    let _ = layer.layer(Callee::new(|_, _| async { Err(TRANSIENT) })).oneshot(Request::new(())).await;
    assert_eq!(layer.counts(), RetryCounts { out_of_budget: 1, ..RetryCounts::default() });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the callee does: never more attempts than allowed, none begun or sent with a deadline past the
    /// request's, and an answer by then.
    #[test]
    fn stays_within_attempts_and_deadline(
        seed: u64,
        attempts_max in 1..6_u32,
        remaining in 1..2000_u64,
        attempt_timeout in prop::option::of(1..500_u64),
        script in prop::collection::vec((0..3_u8, 0..400_u64), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let policy = RetryPolicy {
                attempts_max,
                backoff: Backoff { jitter: Jitter::Full, ..BACKOFF },
                attempt_timeout: attempt_timeout.map(Duration::from_millis),
                ..POLICY
            };
            let deadline = Deadline::within(Duration::from_millis(remaining));
            let callee = Callee::new(|n, request: Request| {
                assert!(!deadline.is_expired());
                assert!(request.deadline().expect("each attempt has one") <= deadline);
                let (kind, latency) = script[n as usize];
                async move {
                    sleep(Duration::from_millis(latency)).await;
                    match kind {
                        0 => success(),
                        1 => Err(TRANSIENT),
                        _ => Err(PERMANENT),
                    }
                }
            });
            let calls = callee.calls();
            let service = RetryLayer::new(policy, budget(), Seed::new(seed)).layer(callee);
            let mut request = Request::new(());
            request.set_deadline(deadline);
            let _ = service.oneshot(request).await;
            assert!(calls.load(Ordering::Relaxed) <= attempts_max);
            assert!(Instant::now() <= deadline.instant() + 2 * MS);
        });
    }
}
