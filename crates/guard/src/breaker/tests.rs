use std::sync::Barrier;
use std::time::Duration;

use steadfast_base::{ContextMut, Deadline};
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt};

use super::*;
use crate::testing::{Callee, PERMANENT, Request, TRANSIENT, success};
use crate::{Error, Rejection};

const SECOND: Duration = Duration::from_secs(1);

const POLICY: BreakerPolicy = BreakerPolicy {
    window: Window::Calls(10),
    calls_min: 4,
    failure_ratio: 0.5,
    slow_calls: None,
    consecutive_failures: None,
    open_for: SECOND,
    probes: 2,
    probing_for: Duration::from_secs(5),
};

fn breaker(policy: BreakerPolicy) -> Breaker {
    Breaker::new("test", policy)
}

fn tripped() -> Breaker {
    let breaker = breaker(POLICY);
    (0..4).for_each(|_| acquire(&breaker).fail());
    assert_eq!(breaker.phase(), Phase::Open);
    breaker
}

fn acquire(breaker: &Breaker) -> Permit {
    breaker.acquire(None).expect("a call is let through")
}

fn refusal(breaker: &Breaker) -> Duration {
    match breaker.acquire(None) {
        Err(BreakerOpen { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn trips_at_the_ratio_and_not_before_the_least_calls() {
    let breaker = breaker(POLICY);
    (0..3).for_each(|_| acquire(&breaker).fail());
    assert_eq!(breaker.phase(), Phase::Closed, "three calls say nothing");
    acquire(&breaker).succeed();
    acquire(&breaker).succeed();
    acquire(&breaker).succeed();
    acquire(&breaker).succeed();
    assert_eq!(breaker.phase(), Phase::Closed, "3 of 7 failed, and a success opens nothing");
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Open, "4 of 8 failed");
}

#[test]
fn old_outcomes_leave_the_window() {
    let breaker = breaker(POLICY);
    (0..3).for_each(|_| acquire(&breaker).fail());
    (0..10).for_each(|_| acquire(&breaker).succeed());
    (0..4).for_each(|_| acquire(&breaker).fail());
    assert_eq!(breaker.phase(), Phase::Closed, "4 of the last 10 failed, 7 of all 17");
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Open);
}

#[test]
fn trips_on_consecutive_failures() {
    let breaker = breaker(BreakerPolicy { consecutive_failures: Some(3), failure_ratio: 1.0, ..POLICY });
    acquire(&breaker).fail();
    acquire(&breaker).fail();
    acquire(&breaker).succeed();
    acquire(&breaker).fail();
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Closed);
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Open);
}

#[tokio::test(start_paused = true)]
async fn refuses_with_the_time_that_is_left() {
    let breaker = tripped();
    assert_eq!(refusal(&breaker), SECOND);
    advance(SECOND - Duration::from_millis(1)).await;
    assert_eq!(refusal(&breaker), Duration::from_millis(1));
    advance(Duration::from_millis(1)).await;
    let _probe = acquire(&breaker);
    assert_eq!(breaker.counts().refused, 2);
}

#[tokio::test(start_paused = true)]
async fn half_open_closes_when_all_probes_succeed() {
    let breaker = tripped();
    advance(SECOND).await;
    let (first, second) = (acquire(&breaker), acquire(&breaker));
    assert_eq!(refusal(&breaker), Duration::ZERO, "two probes and no more");
    first.succeed();
    assert_eq!(breaker.phase(), Phase::HalfOpen);
    assert_eq!(refusal(&breaker), Duration::ZERO, "a probe that ended makes no place");
    second.succeed();
    assert_eq!(breaker.phase(), Phase::Closed);
    (0..3).for_each(|_| acquire(&breaker).fail());
    assert_eq!(breaker.phase(), Phase::Closed, "the window began anew");
}

#[tokio::test(start_paused = true)]
async fn half_open_opens_when_one_probe_fails() {
    let breaker = tripped();
    advance(SECOND).await;
    let (first, second) = (acquire(&breaker), acquire(&breaker));
    first.fail();
    assert_eq!(breaker.phase(), Phase::Open);
    assert_eq!(refusal(&breaker), SECOND);
    second.succeed();
    assert_eq!((breaker.phase(), breaker.counts().opened), (Phase::Open, 2));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_gives_its_place_away() {
    let breaker = tripped();
    advance(SECOND).await;
    for _ in 0..10 {
        let (first, second) = (acquire(&breaker), acquire(&breaker));
        refusal(&breaker);
        drop((first, second));
    }
    assert_eq!(breaker.phase(), Phase::HalfOpen);
    let (first, second) = (acquire(&breaker), acquire(&breaker));
    first.succeed();
    second.succeed();
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[tokio::test(start_paused = true)]
async fn probes_that_hang_open_it_again() {
    let breaker = tripped();
    advance(SECOND).await;
    let hanging = (acquire(&breaker), acquire(&breaker));
    advance(POLICY.probing_for).await;
    assert_eq!(refusal(&breaker), SECOND);
    assert_eq!(breaker.phase(), Phase::Open);
    advance(SECOND).await;
    let probes = (acquire(&breaker), acquire(&breaker));
    drop(hanging);
    refusal(&breaker);
    drop(probes);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_counts_only_in_the_state_it_belongs_to() {
    let breaker = breaker(POLICY);
    let late = (acquire(&breaker), acquire(&breaker), acquire(&breaker));
    (0..4).for_each(|_| acquire(&breaker).fail());
    advance(SECOND).await;
    let _probe = acquire(&breaker);
    late.0.fail();
    assert_eq!(breaker.phase(), Phase::HalfOpen, "it was sent before the breaker opened");
    late.1.succeed();
    drop(late.2);
    let _second = acquire(&breaker);
    refusal(&breaker);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_after_its_deadline_failed() {
    let breaker = breaker(BreakerPolicy { consecutive_failures: Some(1), ..POLICY });
    let deadline = Some(Deadline::within(SECOND));
    drop(breaker.acquire(deadline).expect("closed"));
    assert_eq!((breaker.phase(), breaker.counts().abandoned), (Phase::Closed, 1));
    let permit = breaker.acquire(deadline).expect("closed");
    advance(SECOND).await;
    drop(permit);
    assert_eq!((breaker.phase(), breaker.counts().failed), (Phase::Open, 1));
}

#[test]
fn a_call_that_panics_failed() {
    let breaker = breaker(BreakerPolicy { consecutive_failures: Some(1), ..POLICY });
    let panicking = breaker.clone();
    let thread = std::thread::spawn(move || {
        let _permit = acquire(&panicking);
        panic!("in the test");
    });
    assert!(thread.join().is_err());
    assert_eq!(breaker.phase(), Phase::Open);
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_stays_open_until_it_is_closed() {
    let breaker = breaker(POLICY);
    breaker.open();
    advance(100 * SECOND).await;
    refusal(&breaker);
    breaker.close();
    assert_eq!(breaker.phase(), Phase::Closed);
    acquire(&breaker).succeed();
    assert_eq!(breaker.counts(), Counts { succeeded: 1, refused: 1, opened: 1, ..Counts::default() });
}

#[test]
fn fields_out_of_range_are_cut() {
    let nothing = BreakerPolicy {
        window: Window::Calls(0),
        calls_min: 0,
        failure_ratio: -1.0,
        slow_calls: None,
        consecutive_failures: Some(0),
        open_for: Duration::MAX,
        probes: 0,
        probing_for: Duration::MAX,
    };
    let low = breaker(nothing);
    acquire(&low).succeed();
    acquire(&low).fail();
    assert_eq!(low.phase(), Phase::Open);
    let high = breaker(BreakerPolicy {
        window: Window::Calls(u32::MAX),
        calls_min: u32::MAX,
        failure_ratio: 7.0,
        ..POLICY
    });
    (0..Window::CALLS_MAX).for_each(|_| acquire(&high).fail());
    assert_eq!(high.phase(), Phase::Open);
}

const SLOW: BreakerPolicy = BreakerPolicy {
    failure_ratio: 1.0,
    slow_calls: Some(SlowCalls { longer_than: SECOND, ratio: 0.5 }),
    ..POLICY
};

#[tokio::test(start_paused = true)]
async fn trips_when_too_many_calls_were_slow() {
    let breaker = breaker(SLOW);
    for slow in [false, true, false, true] {
        assert_eq!(breaker.phase(), Phase::Closed);
        let permit = acquire(&breaker);
        advance(if slow { SECOND + Duration::from_millis(1) } else { SECOND }).await;
        permit.succeed();
    }
    assert_eq!(breaker.phase(), Phase::Open);
    assert_eq!(breaker.counts(), Counts { succeeded: 4, slow: 2, opened: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn notices_a_callee_that_hangs_while_it_hangs() {
    let breaker = breaker(SLOW);
    let mut changes = breaker.subscribe();
    let hanging: Vec<Permit> = (0..4).map(|_| acquire(&breaker)).collect();
    advance(SECOND).await;
    acquire(&breaker).succeed();
    assert_eq!(breaker.phase(), Phase::Closed);
    assert_eq!(breaker.in_flight(), 4);
    advance(SECOND / 4).await;
    refusal(&breaker);
    let cause = changes.try_recv().map(|change| change.cause);
    assert_eq!(cause, Ok(Cause::SlowRatio { slow: 4, under_way: 4, calls: 5 }));
    // Once it is closed again, they are of the past, however they end.
    advance(SECOND).await;
    let probes = (acquire(&breaker), acquire(&breaker));
    probes.0.succeed();
    probes.1.succeed();
    advance(2 * SECOND).await;
    drop(hanging);
    acquire(&breaker).succeed();
    assert_eq!((breaker.phase(), breaker.in_flight()), (Phase::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_that_is_dropped_was_slow() {
    let breaker = breaker(SLOW);
    for _ in 0..4 {
        let permit = acquire(&breaker);
        advance(2 * SECOND).await;
        drop(permit);
    }
    assert_eq!(breaker.phase(), Phase::Open);
    assert_eq!(breaker.counts(), Counts { abandoned: 4, slow: 4, opened: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_that_is_dropped_does_not_end_a_run_of_failures() {
    let slow_calls = Some(SlowCalls { longer_than: SECOND, ratio: 1.0 });
    let policy = BreakerPolicy { slow_calls, consecutive_failures: Some(3), ..POLICY };
    let breaker = breaker(BreakerPolicy { calls_min: 50, window: Window::Calls(50), ..policy });
    let hanging = acquire(&breaker);
    acquire(&breaker).fail();
    acquire(&breaker).fail();
    advance(2 * SECOND).await;
    drop(hanging);
    assert_eq!((breaker.counts().abandoned, breaker.counts().slow), (1, 1));
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Open);
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_opens_it_again() {
    let breaker = breaker(SLOW);
    breaker.open();
    breaker.close();
    (0..4).for_each(|_| acquire(&breaker).fail());
    advance(SECOND).await;
    let probe = acquire(&breaker);
    advance(2 * SECOND).await;
    probe.succeed();
    assert_eq!(breaker.phase(), Phase::Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_time_forgets_what_is_older() {
    let breaker = breaker(BreakerPolicy { window: Window::Time(10 * SECOND), ..POLICY });
    (0..3).for_each(|_| acquire(&breaker).fail());
    advance(5 * SECOND).await;
    (0..3).for_each(|_| acquire(&breaker).succeed());
    advance(5 * SECOND).await;
    // The three failures are ten seconds old, the three successes are not.
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Closed, "1 of 4 failed");
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Closed, "2 of 5 failed");
    acquire(&breaker).fail();
    assert_eq!(breaker.phase(), Phase::Open, "3 of 6 failed");
}

/// Closes the breaker as soon as the log says that it opened.
struct ClosesAtOnce(Breaker);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for ClosesAtOnce {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            self.0.close();
        }
    }
}

#[test]
fn changes_are_told_in_the_order_in_which_they_happened() {
    use tracing_subscriber::layer::SubscriberExt;

    let breaker = breaker(POLICY);
    let mut changes = breaker.subscribe();
    let log = tracing_subscriber::registry().with(ClosesAtOnce(breaker.clone()));
    tracing::subscriber::with_default(log, || {
        // Another test may have met the event first, when nobody listened.
        tracing::callsite::rebuild_interest_cache();
        breaker.open();
    });
    breaker.open();
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).map(|change| change.to).collect();
    assert_eq!(told, [Phase::Open, Phase::Closed, Phase::Open]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_tells_of_all_changes() {
    let registry = Registry::default();
    let mut changes = registry.subscribe();
    let (payment, inventory) = (registry.breaker("payment", POLICY), registry.breaker("inventory", POLICY));
    payment.open();
    inventory.open();
    payment.close();
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok())
        .map(|change| (change.breaker.to_string(), change.to, change.cause))
        .collect();
    assert_eq!(
        told,
        [
            ("payment".to_owned(), Phase::Open, Cause::ByHand),
            ("inventory".to_owned(), Phase::Open, Cause::ByHand),
            ("payment".to_owned(), Phase::Closed, Cause::ByHand),
        ]
    );
    assert_eq!(registry.breaker("payment", POLICY).counts().opened, 1, "a name is one breaker");
}

/// Threads succeed, fail and drop calls: no outcome is lost or counted twice, whatever state it falls in.
#[test]
fn counts_every_call_once_under_contention() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 20_000;
    let slow_calls = Some(SlowCalls { longer_than: Duration::from_secs(60), ratio: 0.5 });
    let by_time = BreakerPolicy { window: Window::Time(Duration::from_millis(10)), slow_calls, ..POLICY };
    for policy in [POLICY, by_time] {
        let open_for = Duration::from_micros(5);
        let breaker = breaker(BreakerPolicy { failure_ratio: 0.01, open_for, ..policy });
        let run = |thread: u64| {
            let mut counts = Counts::default();
            for call in 0..CALLS {
                match breaker.acquire(None) {
                    Err(_) => counts.refused += 1,
                    Ok(permit) if call % 97 < 9 && thread == 0 => {
                        counts.failed += 1;
                        permit.fail();
                    }
                    Ok(permit) if call % 5 == 0 => {
                        counts.abandoned += 1;
                        drop(permit);
                    }
                    Ok(permit) => {
                        counts.succeeded += 1;
                        permit.succeed();
                    }
                }
            }
            counts
        };
        let sum = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
            threads.into_iter().fold(Counts::default(), |sum, thread| {
                let counts = thread.join().expect("no panic");
                Counts {
                    succeeded: sum.succeeded + counts.succeeded,
                    failed: sum.failed + counts.failed,
                    abandoned: sum.abandoned + counts.abandoned,
                    refused: sum.refused + counts.refused,
                    ..sum
                }
            })
        });
        let counts = breaker.counts();
        assert_eq!(Counts { opened: 0, ..counts }, sum);
        assert!(counts.opened > 0, "it never opened");
        assert_eq!(breaker.in_flight(), 0);
    }
}

/// Threads race for the probes: exactly as many as there are get one.
#[test]
fn exactly_as_many_probes_under_contention() {
    const THREADS: usize = 8;
    for _ in 0..50 {
        let breaker = breaker(BreakerPolicy { open_for: Duration::ZERO, probes: 3, ..POLICY });
        (0..4).for_each(|_| acquire(&breaker).fail());
        let barrier = Barrier::new(THREADS);
        let admitted: usize = std::thread::scope(|scope| {
            let race = || {
                barrier.wait();
                let permits: Vec<Permit> = (0..4).filter_map(|_| breaker.acquire(None).ok()).collect();
                barrier.wait();
                permits.len()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(admitted, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_layer_refuses_without_calling() {
    let callee = Callee::new(|n, _| async move { if n < 4 { Err(TRANSIENT) } else { success() } });
    let calls = callee.calls();
    let breaker = breaker(POLICY);
    let mut service = BreakerLayer::new(breaker.clone()).layer(callee);
    for _ in 0..4 {
        let answer = service.ready().await.expect("ready").call(Request::new(())).await;
        assert_eq!(answer.err(), Some(TRANSIENT));
    }
    // A clone shares the state.
    let answer = service.clone().oneshot(Request::new(())).await;
    assert_eq!(answer.err(), Some(Error::Rejected(Rejection::BreakerOpen { retry_after: SECOND })));
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 4);
    advance(SECOND).await;
    assert!(service.clone().oneshot(Request::new(())).await.is_ok());
    assert!(service.oneshot(Request::new(())).await.is_ok());
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_layer_counts_by_class_and_sees_a_drop() {
    let breaker = breaker(POLICY);
    let answer = |n, _| async move {
        match n {
            0 => success(),
            1 => Err(PERMANENT),
            _ => std::future::pending().await,
        }
    };
    let service = BreakerLayer::new(breaker.clone()).layer(Callee::new(answer));
    let request = |remaining| {
        let mut request = Request::new(());
        request.set_deadline(Deadline::within(remaining));
        request
    };
    let _ = service.clone().oneshot(request(SECOND)).await;
    let _ = service.clone().oneshot(request(SECOND)).await;
    let given_up = tokio::time::timeout(SECOND / 2, service.clone().oneshot(request(SECOND))).await;
    assert!(given_up.is_err());
    let too_slow = tokio::time::timeout(SECOND, service.oneshot(request(SECOND))).await;
    assert!(too_slow.is_err());
    assert_eq!(breaker.counts(), Counts { succeeded: 1, failed: 2, abandoned: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_when_what_is_slow_changes_do_not_count_and_leave_nothing_behind() {
    let slower_than = |longer_than| BreakerPolicy {
        slow_calls: Some(SlowCalls { longer_than, ratio: 0.5 }),
        calls_min: 1,
        ..POLICY
    };
    let breaker = breaker(slower_than(SECOND));
    let old = acquire(&breaker);
    breaker.set_policy(slower_than(SECOND / 100));
    advance(SECOND / 20).await;
    acquire(&breaker).succeed();
    assert_eq!(breaker.phase(), Phase::Closed, "one is under way for long, by the old policy");
    old.succeed();
    for _ in 0..3 {
        advance(SECOND).await;
        acquire(&breaker).succeed();
    }
    assert_eq!((breaker.phase(), breaker.in_flight()), (Phase::Closed, 0));

    // It forgets the outcomes.
    breaker.close();
    let slow = acquire(&breaker);
    advance(SECOND).await;
    assert!(breaker.acquire(None).is_err(), "by the new policy one of one is slow, while it is under way");
    drop(slow);
}
