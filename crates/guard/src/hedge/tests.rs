use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use steadfast_base::{Budget, ContextMut, Deadline, Seed};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceExt};

use super::*;
use crate::testing::{Answer, Callee, PERMANENT, Request, TRANSIENT, success};

const MS: Duration = Duration::from_millis(1);

fn plenty() -> Arc<Budget> {
    Arc::new(Budget::new(1.0, 1000))
}

/// A handle that knows a hundred calls of 10 ms, so that a hedge is made just after those.
fn hedge(budget: Arc<Budget>) -> Hedge {
    let hedge = Hedge::new("test", HedgePolicy::default(), budget);
    for _ in 0..100 {
        hedge.record(10 * MS);
    }
    let delay = hedge.snapshot().delay.expect("enough is known");
    assert!((10 * MS..11 * MS).contains(&delay), "{delay:?}");
    hedge
}

/// Counts calls that were dropped before they were answered.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicU32>);

struct Counted(Option<Dropped>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(Dropped(count)) = &self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Dropped {
    async fn answer(self, after: Duration, answer: Answer) -> Answer {
        let mut counted = Counted(Some(self));
        sleep(after).await;
        counted.0 = None;
        answer
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Makes one call whose attempts take as long and end as `attempts` says; returns what came, the calls that reached
/// the callee, those of them that were dropped, and the time.
async fn call(
    hedge: &Hedge,
    request: Request,
    attempts: impl Fn(u32) -> (Duration, Answer),
) -> (Answer, u32, u32, Duration) {
    let dropped = Dropped::default();
    let callee = Callee::new(|n, _| {
        let (after, answer) = attempts(n);
        dropped.clone().answer(after, answer)
    });
    let calls = callee.calls();
    let start = Instant::now();
    let answer = HedgeLayer::new(hedge.clone()).layer(callee).oneshot(request).await;
    (answer, calls.load(Ordering::Relaxed), dropped.count(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_late_call_is_asked_again_and_the_loser_dropped() {
    let hedge = hedge(plenty());
    let late = |n| (if n == 0 { 500 * MS } else { 5 * MS }, success());
    let (answer, calls, dropped, took) = call(&hedge, Request::new(()), late).await;
    assert!(answer.is_ok() && took <= 18 * MS, "{took:?}");
    assert_eq!((calls, dropped), (2, 1));
    assert_eq!((hedge.snapshot().hedged, hedge.snapshot().won), (1, 1));

    // The first comes first after all.
    let (answer, calls, dropped, took) =
        call(&hedge, Request::new(()), |n| (if n == 0 { 20 * MS } else { 50 * MS }, success())).await;
    assert!(answer.is_ok() && took <= 22 * MS, "{took:?}");
    assert_eq!((calls, dropped, hedge.snapshot().won), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_time_is_asked_once() {
    let hedge = hedge(plenty());
    let (answer, calls, dropped, _) = call(&hedge, Request::new(()), |_| (9 * MS, success())).await;
    assert!(answer.is_ok());
    assert_eq!((calls, dropped, hedge.snapshot().hedged), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_idempotent_is_asked_twice() {
    let hedge = hedge(plenty());
    let late = |_| (100 * MS, success());
    let post = http::Request::post("/").body(()).expect("a valid request");
    let before = hedge.snapshot();
    assert_eq!(call(&hedge, post, late).await.1, 1);
    assert_eq!(hedge.snapshot(), before, "it is not measured either");
    let keyed = http::Request::post("/").header("idempotency-key", "k1").body(()).expect("a valid request");
    assert_eq!(call(&hedge, keyed, late).await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn no_hedge_while_too_little_is_known() {
    let hedge = Hedge::new("test", HedgePolicy { samples_min: 3, ..HedgePolicy::default() }, plenty());
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls
            .push(call(&hedge, Request::new(()), |n| (if n == 0 { 20 * MS } else { MS }, success())).await.1);
    }
    assert_eq!(calls, [1, 1, 1, 1], "20 ms are usual");
    assert_eq!(call(&hedge, Request::new(()), |n| (if n == 0 { 30 * MS } else { MS }, success())).await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn failures_are_no_reason_for_a_hedge_and_do_not_win() {
    let hedge = hedge(plenty());
    let (answer, calls, _, took) = call(&hedge, Request::new(()), |_| (5 * MS, Err(TRANSIENT))).await;
    assert_eq!((answer.err(), calls), (Some(TRANSIENT), 1));
    assert!(took <= 7 * MS, "{took:?}");

    // The hedge fails: the first is waited for.
    let (answer, calls, _, _) =
        call(&hedge, Request::new(()), |n| if n == 0 { (50 * MS, success()) } else { (MS, Err(TRANSIENT)) })
            .await;
    assert_eq!((answer.is_ok(), calls), (true, 2));

    // The first fails while the hedge is under way: that is waited for.
    let (answer, calls, _, _) =
        call(
            &hedge,
            Request::new(()),
            |n| {
                if n == 0 { (20 * MS, Err(TRANSIENT)) } else { (50 * MS, success()) }
            },
        )
        .await;
    assert_eq!((answer.is_ok(), calls), (true, 2));

    // Both fail: the failure is that of the first.
    let (answer, calls, _, _) = call(&hedge, Request::new(()), |n| {
        if n == 0 { (20 * MS, Err(TRANSIENT)) } else { (50 * MS, Err(PERMANENT)) }
    })
    .await;
    assert_eq!((answer.err(), calls), (Some(TRANSIENT), 2));
}

#[tokio::test(start_paused = true)]
async fn hedges_stay_a_share_of_the_calls_however_slow_the_callee() {
    let hedge = hedge(Arc::new(Budget::new(0.05, 0)));
    let mut sent = 0;
    for _ in 0..1000 {
        // All calls are suddenly late, and a hedge would be just as late.
        sent += call(&hedge, Request::new(()), |_| (50 * MS, success())).await.1;
    }
    assert!((1000..=1052).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_that_would_come_after_the_deadline() {
    let hedge = hedge(plenty());
    let mut request = Request::new(());
    request.set_deadline(Deadline::within(9 * MS));
    assert_eq!(call(&hedge, request, |_| (50 * MS, success())).await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_that_of_the_callee_and_not_of_the_hedged_calls() {
    let hedge = Hedge::new("test", HedgePolicy::default(), Arc::new(Budget::new(1.0, 1000)));
    let mut rng = Seed::new(1).stream("latency");
    for _ in 0..4000 {
        // Whatever is hedged is answered at once: no caller waits for longer than the delay.
        let first = MS + Duration::from_millis(rng.below(100));
        let (answer, ..) =
            call(&hedge, Request::new(()), |n| (if n == 0 { first } else { Duration::ZERO }, success()))
                .await;
        assert!(answer.is_ok());
    }
    let delay = hedge.snapshot().delay.expect("enough is known");
    assert!((90 * MS..=101 * MS).contains(&delay), "{delay:?}");
    let hedged = hedge.snapshot().hedged;
    assert!((100..=300).contains(&hedged), "{hedged} of 4000");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_call_drops_both_attempts() {
    let hedge = hedge(plenty());
    let dropped = Dropped::default();
    let callee = Callee::new(|_, _| dropped.clone().answer(Duration::from_secs(9), success()));
    let service = HedgeLayer::new(hedge).layer(callee);
    assert!(timeout(50 * MS, service.oneshot(Request::new(()))).await.is_err());
    assert_eq!(dropped.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_clone_does_not_use_up_the_readiness_of_another() {
    // The callee insists that each clone is polled ready before each call, also for the hedge.
    let hedge = hedge(plenty());
    let mut service = HedgeLayer::new(hedge).layer(Callee::new(|_, _| async {
        sleep(30 * MS).await;
        success()
    }));
    for _ in 0..3 {
        let mut other = service.clone();
        let (mine, others) = (
            service.ready().await.expect("ready").call(Request::new(())),
            other.ready().await.expect("ready").call(Request::new(())),
        );
        assert!(tokio::join!(mine, others).1.is_ok());
    }
}
