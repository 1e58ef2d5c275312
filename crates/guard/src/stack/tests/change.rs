//! Changes while calls run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};
use tower::{Layer, Service, ServiceExt};

use crate::breaker::{BreakerPolicy, Phase, SlowCalls, Window};
use crate::rate_limit::{Key, Quota, RateLimitPolicy};
use crate::stack::{
    BudgetPolicy, DeadlineSettings, Error, IncomingSettings, KeyedRateLimitSettings, OutgoingSettings,
    RateLimitSettings, RetrySettings, Stack,
};
use crate::testing::{Answer, Callee, Request, TRANSIENT, success};
use crate::{BulkheadPolicy, FallbackLayer, Rejection, RetryPolicy};

const MS: Duration = Duration::from_millis(1);

fn off() -> OutgoingSettings {
    OutgoingSettings::default()
}

fn rejection(answer: Answer) -> Option<Rejection> {
    answer.expect_err("it is refused").rejection()
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_ends_as_it_was_begun_and_the_next_is_guarded_anew() {
    let timeout = |ms| OutgoingSettings { timeout: Some(ms * MS), ..off() };
    let stack = Stack::outgoing("test").configured(&timeout(100)).expect("it can be");
    let mut service = stack.layer(Callee::new(|_, _| std::future::pending()));
    let (start, first) = (Instant::now(), service.ready().await.expect("ready").call(Request::new(())));
    stack.apply(&timeout(10)).expect("it can be");
    let second = service.ready().await.expect("ready").call(Request::new(()));
    assert_eq!(rejection(second.await), Some(Rejection::TimedOut { after: 10 * MS }));
    assert_eq!(rejection(first.await), Some(Rejection::TimedOut { after: 100 * MS }));
    assert!(start.elapsed() < 105 * MS);
}

#[tokio::test(start_paused = true)]
async fn guards_are_switched_off_and_on() {
    let retrying = OutgoingSettings {
        deadline: Some(DeadlineSettings::default()),
        retry: Some(RetrySettings::default()),
        ..off()
    };
    let stack = Stack::outgoing("test").configured(&off()).expect("it can be");
    let callee = Callee::new(|_, _| async { Err(TRANSIENT) });
    let (calls, service) = (callee.calls(), stack.layer(callee));
    for (settings, attempts) in [(off(), 1), (retrying.clone(), 3), (off(), 1), (retrying, 3)] {
        stack.apply(&settings).expect("it can be");
        calls.store(0, Ordering::Relaxed);
        assert!(service.clone().oneshot(Request::new(())).await.is_err());
        assert_eq!(calls.load(Ordering::Relaxed), attempts, "{stack}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_that_shrinks_lets_nobody_in_until_there_is_room_again() {
    let at_most = |concurrency_max, queue_max| OutgoingSettings {
        bulkhead: Some(BulkheadPolicy { concurrency_max, queue_max, ..BulkheadPolicy::default() }),
        ..off()
    };
    let stack = Stack::outgoing("test").configured(&at_most(3, 0)).expect("it can be");
    let service = stack.layer(Callee::new(|n, _| async move {
        sleep((n + 1) * 100 * MS).await;
        success()
    }));
    let call = || tokio::spawn(service.clone().oneshot(Request::new(())));
    let running = [call(), call(), call()];
    sleep(MS).await;
    stack.apply(&at_most(1, 1)).expect("it can be");
    let waits = call();
    sleep(MS).await;
    let in_flight = || stack.bulkhead().map(|bulkhead| bulkhead.snapshot().in_flight);
    assert_eq!(in_flight(), Some(3));
    // The first two that end make no room.
    for (ms, left) in [(100, 2), (100, 1), (100, 1)] {
        sleep(ms * MS).await;
        assert_eq!(in_flight(), Some(left));
    }
    for call in running.into_iter().chain([waits]) {
        assert!(call.await.expect("no panic").is_ok());
    }
    assert_eq!(in_flight(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn what_was_used_of_a_quota_and_of_a_budget_stays_used() {
    let hour = Duration::from_secs(3600);
    let settings = |permits, waits| OutgoingSettings {
        deadline: Some(DeadlineSettings::default()),
        retry: Some(RetrySettings {
            policy: RetryPolicy { attempts_max: waits, ..RetryPolicy::default() },
            budget: BudgetPolicy { share: 0.0, per_second: 1 },
        }),
        rate_limit: Some(RateLimitSettings {
            quota: Quota::new(permits, hour),
            policy: RateLimitPolicy::default(),
        }),
        ..off()
    };
    let stack = Stack::outgoing("test").configured(&settings(10, 2)).expect("it can be");
    let service = stack.layer(Callee::new(|_, _| async { Err(TRANSIENT) }));
    // One repetition is there, so that five calls take six permits.
    for _ in 0..5 {
        assert!(service.clone().oneshot(Request::new(())).await.is_err());
    }
    assert_eq!(stack.rate_limiter().map(|limiter| limiter.available()), Some(4));
    stack.apply(&settings(20, 5)).expect("it can be");
    assert_eq!(stack.rate_limiter().map(|limiter| limiter.available()), Some(14));
    let counts = || stack.retry().map(|retry| (retry.counts().repeated, retry.counts().out_of_budget));
    assert_eq!(counts(), Some((1, 4)));
    assert!(service.oneshot(Request::new(())).await.is_err());
    assert_eq!(counts(), Some((1, 5)), "counts go on, and the budget is still spent");
}

#[tokio::test(start_paused = true)]
async fn what_a_key_has_used_stays_used_and_further_keys_find_a_place() {
    let settings = |permits, keys_max| IncomingSettings {
        keyed_rate_limit: Some(KeyedRateLimitSettings {
            quota: Quota::new(permits, Duration::from_secs(3600)),
            policy: RateLimitPolicy::default(),
            keys_max,
        }),
        ..IncomingSettings::default()
    };
    let stack = Stack::incoming("test")
        .keyed_rate_limit(|request: &Request| Key::of(request.uri().path()), Default::default())
        .configured(&settings(2, 16))
        .expect("it can be");
    let service = stack.layer(Callee::new(|_, _| async { success() }));
    let ask = async |path: &str| {
        let request = http::Request::get(path).body(()).expect("a valid request");
        service.clone().oneshot(request).await.is_ok()
    };
    assert_eq!([ask("/a").await, ask("/a").await, ask("/a").await], [true, true, false]);
    stack.apply(&settings(3, 1600)).expect("it can be");
    assert_eq!([ask("/a").await, ask("/a").await], [true, false], "one more, for two were used");
    let limiter = stack.keyed_rate_limiter().expect("it has a place");
    assert_eq!((limiter.keys(), limiter.keys_max()), (1, 1600));
    // Off, it lets all through, and forgets nothing.
    stack.apply(&IncomingSettings::default()).expect("it can be");
    assert!(ask("/a").await);
    stack.apply(&settings(3, 1600)).expect("it can be");
    assert!(!ask("/a").await);
    assert!(ask("/b").await);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_at_a_server_is_switched_while_calls_run() {
    let on = |fallback| IncomingSettings { fallback, ..IncomingSettings::default() };
    let substitute = FallbackLayer::value(|_: &Answer| Some(http::Response::new(())));
    let stack =
        Stack::incoming("test").fallback(substitute.clone()).configured(&on(true)).expect("it can be");
    let mut service = stack.layer(Callee::new(|_, _| async {
        sleep(100 * MS).await;
        Err(TRANSIENT)
    }));
    let under_way = service.ready().await.expect("ready").call(Request::new(()));
    stack.apply(&on(false)).expect("it can be");
    let after = service.ready().await.expect("ready").call(Request::new(()));
    assert!(after.await.is_err());
    assert!(under_way.await.is_ok(), "it ends as it was begun");
    assert_eq!(substitute.substituted(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_keeps_its_phase_and_its_outcomes_where_the_window_is_of_the_same_kind() {
    let policy = BreakerPolicy {
        window: Window::Calls(20),
        calls_min: 10,
        consecutive_failures: None,
        ..BreakerPolicy::default()
    };
    let with = |policy| OutgoingSettings { breaker: Some(policy), ..off() };
    let stack = Stack::outgoing("test").configured(&with(policy)).expect("it can be");
    let service = stack.layer(Callee::new(|_, _| async { Err(TRANSIENT) }));
    let call = async || service.clone().oneshot(Request::new(())).await;
    let phase = || stack.breaker().map(|breaker| breaker.phase());
    for _ in 0..9 {
        assert!(call().await.is_err());
    }
    // A window of more calls keeps the nine, so that one more is ten.
    stack.apply(&with(BreakerPolicy { window: Window::Calls(50), ..policy })).expect("it can be");
    assert_eq!(phase(), Some(Phase::Closed));
    assert!(call().await.is_err());
    assert_eq!(phase(), Some(Phase::Open));
    // It stays open under another kind of window, and until the shorter of both times.
    let of_time = BreakerPolicy {
        window: Window::Time(Duration::from_secs(10)),
        slow_calls: Some(SlowCalls { longer_than: MS, ratio: 0.5 }),
        open_for: 100 * MS,
        ..policy
    };
    stack.apply(&with(of_time)).expect("it can be");
    assert_eq!(phase(), Some(Phase::Open));
    advance(101 * MS).await;
    assert!(call().await.is_err());
    assert_eq!(stack.breaker().map(|breaker| breaker.counts().failed), Some(11), "a probe was let through");
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_changes_nothing() {
    let settings = OutgoingSettings { bulkhead: Some(BulkheadPolicy::default()), ..off() };
    let stack = Stack::outgoing("test").configured(&settings).expect("it can be");
    let before = stack.to_string();
    let wrong = OutgoingSettings {
        bulkhead: Some(BulkheadPolicy { concurrency_max: 1, ..BulkheadPolicy::default() }),
        retry: Some(RetrySettings::default()),
        ..off()
    };
    assert!(matches!(stack.apply(&wrong), Err(Error::Missing { guard: "retry", .. })));
    assert_eq!(stack.to_string(), before);
    assert_eq!(stack.bulkhead().map(|bulkhead| bulkhead.snapshot().concurrency_max), Some(32));
    let unnamed = OutgoingSettings { fallback: true, ..settings };
    assert_eq!(stack.apply(&unnamed), Err(Error::NotNamed { guard: "fallback" }));
}

#[test]
fn changes_from_many_threads_leave_guards_and_settings_agreed() {
    let stack = Stack::outgoing("test").configured(&off()).expect("it can be");
    std::thread::scope(|scope| {
        for thread in 1..=4_u32 {
            let stack = stack.clone();
            scope.spawn(move || {
                for round in 0..200 {
                    let policy = BulkheadPolicy {
                        concurrency_max: thread * 1000 + round,
                        ..BulkheadPolicy::default()
                    };
                    stack.apply(&OutgoingSettings { bulkhead: Some(policy), ..off() }).expect("it can be");
                }
            });
        }
    });
    let limit = stack.bulkhead().map(|bulkhead| bulkhead.snapshot().concurrency_max).expect("a place");
    assert!(stack.to_string().contains(&format!("bulkhead      {limit} at a time")), "{limit}: {stack}");
}
