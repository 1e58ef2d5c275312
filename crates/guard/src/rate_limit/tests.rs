use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use steadfast_base::{Classify, ContextMut, Deadline};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::gcra::Terms;
use super::*;
use crate::testing::{Callee, Request, success};
use crate::{Error as Guarded, Rejection};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn retry_after<T: std::fmt::Debug>(result: Result<T, Error>) -> Duration {
    result.expect_err("it does not conform").retry_after().expect("it conforms later")
}

#[tokio::test(start_paused = true)]
async fn a_burst_conforms_and_then_one_by_one() {
    let limiter = RateLimiter::new(Quota::per_second(10).with_burst(3));
    for remaining in [2, 1, 0] {
        assert_eq!(limiter.try_acquire(1).map(|decision| decision.remaining()), Ok(remaining));
    }
    assert_eq!(retry_after(limiter.try_acquire(1)), 100 * MS);
    advance(99 * MS).await;
    assert_eq!(retry_after(limiter.try_acquire(1)), MS);
    advance(MS).await;
    let decision = limiter.try_acquire(1).expect("a tenth of a second is one permit");
    assert_eq!((decision.remaining(), decision.reset_after()), (0, 300 * MS));
    advance(SECOND).await;
    assert_eq!(limiter.available(), 3, "no more than the burst is saved up");
}

#[tokio::test(start_paused = true)]
async fn several_at_a_time_are_taken_together_or_not_at_all() {
    let limiter = RateLimiter::new(Quota::per_second(10));
    assert!(limiter.try_acquire(7).is_ok());
    assert_eq!(retry_after(limiter.try_acquire(4)), 100 * MS);
    assert!(limiter.try_acquire(3).is_ok(), "the refusal took nothing");
    assert!(limiter.try_acquire(0).is_ok());
    let refused = limiter.try_acquire(11).expect_err("more than the burst");
    assert_eq!(refused, Error::ExceedsBurst { permits: 11, burst: 10 });
    assert!(!refused.classify().is_retryable());
    assert_eq!(limiter.reserve(11, Duration::MAX).map(drop), Err(refused));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_get_their_turns_in_order_and_none_too_early() {
    let limiter = RateLimiter::new(Quota::per_second(10).with_burst(1));
    let start = Instant::now();
    let turns = (0..4).map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move { limiter.acquire(1, None).await.map(|()| start.elapsed()) })
    });
    for (turn, task) in turns.collect::<Vec<_>>().into_iter().enumerate() {
        let waited = task.await.expect("it ends").expect("it waits as long as it takes");
        let due = 100 * MS * turn as u32;
        assert!(waited >= due && waited <= due + 2 * MS, "{turn}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_beyond_the_deadline_is_refused_at_once_and_takes_nothing() {
    let limiter = RateLimiter::new(Quota::per_second(10).with_burst(1));
    assert!(limiter.try_acquire(1).is_ok());
    let start = Instant::now();
    let refused = limiter.acquire(1, Some(Deadline::within(99 * MS))).await;
    assert_eq!((retry_after(refused), start.elapsed()), (100 * MS, Duration::ZERO));
    assert!(limiter.acquire(1, Some(Deadline::within(100 * MS))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_dropped_gives_its_permits_back_unless_others_stand_behind() {
    let limiter = RateLimiter::new(Quota::per_second(10).with_burst(1));
    assert!(limiter.try_acquire(1).is_ok());
    let start = Instant::now();
    let reserve = || limiter.reserve(1, SECOND).expect("there is time");
    let first = reserve();
    assert_eq!(first.ready_at() - start, 100 * MS);
    drop(first);
    let second = reserve();
    assert_eq!(second.ready_at() - start, 100 * MS, "the place was given back");
    let third = reserve();
    assert_eq!(third.ready_at() - start, 200 * MS);
    drop(second);
    assert_eq!(reserve().ready_at() - start, 300 * MS, "the third keeps its time, nobody shares it");
    third.spend();
    assert_eq!(reserve().ready_at() - start, 300 * MS, "what is spent stays spent");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_changes_keeps_what_was_used_in_permits() {
    let limiter = RateLimiter::new(Quota::per_second(10));
    assert!(limiter.try_acquire(6).is_ok());
    limiter.set_quota(Quota::per_second(1000));
    assert_eq!(limiter.available(), 994);
    limiter.set_quota(Quota::per_minute(10));
    assert_eq!((limiter.available(), limiter.quota()), (4, Quota::per_minute(10)));
    assert!(limiter.try_acquire(4).is_ok());
    assert_eq!(retry_after(limiter.try_acquire(1)), 6 * SECOND);
    limiter.set_quota(Quota::per_second(10));
    assert_eq!(retry_after(limiter.try_acquire(1)), 100 * MS, "nobody waits by the old rate");

    let keyed = KeyedRateLimiter::new(Quota::per_second(10), 100);
    let key = Key::of("alice");
    assert!(keyed.try_acquire(key, 10).is_ok());
    keyed.set_quota(Quota::per_second(100));
    assert_eq!(keyed.try_acquire(key, 1).map(|decision| decision.remaining()), Ok(89));
    assert_eq!(keyed.try_acquire(Key::of("bob"), 1).map(|decision| decision.remaining()), Ok(99));
}

#[test]
fn threads_and_changes_of_the_quota_never_let_more_through() {
    let limiter = RateLimiter::new(Quota::new(1000, Duration::from_secs(3600)));
    let now = Instant::now();
    let passed: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..2000).filter(|_| limiter.try_acquire_at(1, now).is_ok()).count() as u32)
            })
            .collect();
        for minutes in (1..=60).cycle().take(3000) {
            limiter.set_quota(Quota::new(1000, Duration::from_secs(60 * minutes)));
        }
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    // Each change rounds what was used up, and a permit of the hour comes back every 3.6 s, of the minute every 60 ms.
    assert!((900..=1100).contains(&passed), "{passed}");
}

/// A charge that was worked out under the old quota and made under the new one would be worth an hour of it.
#[test]
fn a_charge_in_the_moment_in_which_the_quota_changes_is_worth_one_permit() {
    const PERMITS: u32 = 1_000_000;
    const ROUNDS: usize = 5000;
    let (slow, fast) = (Quota::new(1, Duration::from_secs(3600)), Quota::per_second(PERMITS));
    let started = Instant::now();
    let limiters: Vec<_> = (0..ROUNDS).map(|_| RateLimiter::new(slow)).collect();
    let arrived = AtomicUsize::new(0);
    // Both threads come to each limiter at the same time, and neither always does its first step first.
    let meet = |round: usize, lead: usize| {
        arrived.fetch_add(1, Ordering::AcqRel);
        let mut waited = 0;
        while arrived.load(Ordering::Acquire) < 2 * (round + 1) {
            waited += 1;
            if waited % 256 == 0 {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
        (0..lead).for_each(|_| std::hint::spin_loop());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (round, limiter) in limiters.iter().enumerate() {
                meet(round, round % 64);
                limiter.set_quota(fast);
            }
        });
        for (round, limiter) in limiters.iter().enumerate() {
            meet(round, round / 64 % 64);
            let _ = limiter.try_acquire_at(1, started);
        }
    });
    for (round, limiter) in limiters.iter().enumerate() {
        assert!(limiter.available() >= PERMITS - 1, "round {round}: {}", limiter.available());
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded_and_strangers_share() {
    let limiter = KeyedRateLimiter::new(Quota::per_second(2), 160);
    let known = Key::of("known");
    assert!(limiter.try_acquire(known, 2).is_ok());
    let passed = (0..10_000).filter(|stranger| limiter.try_acquire(Key::of(stranger), 1).is_ok()).count();
    assert!(limiter.keys() <= 160, "{}", limiter.keys());
    // Those with a place of their own, and two for each of sixteen shards.
    assert!((160..=159 + 32).contains(&passed), "{passed}");
    assert!(limiter.strange() > 9000);
    assert!(limiter.try_acquire(known, 1).is_err(), "many strangers do not give a known key a new quota");

    advance(SECOND).await;
    assert!(limiter.try_acquire(Key::of("late"), 2).is_ok());
    assert!(limiter.keys() <= 160, "idle keys made room");
    assert!(limiter.try_acquire(known, 2).is_ok());
}

#[tokio::test(start_paused = true)]
async fn how_many_keys_are_kept_changes_while_they_are_used() {
    let limiter = KeyedRateLimiter::new(Quota::per_second(2), 160);
    let used = (0..10_000).filter(|key| limiter.try_acquire(Key::of(key), 2).is_ok()).count();
    assert!((160..160 + 16 + 1).contains(&used), "{used}");
    let kept: Vec<_> = (0..10_000).filter(|key| limiter.shared.is_kept(Key::of(key))).collect();
    assert_eq!((kept.len(), limiter.keys_max()), (160, 160));

    limiter.set_keys_max(16);
    assert_eq!((limiter.keys(), limiter.keys_max()), (160, 16), "what is used keeps its place");
    assert!(kept.iter().all(|key| limiter.try_acquire(Key::of(key), 1).is_err()), "and its quota");
    advance(SECOND).await;
    (10_000..20_000).for_each(|key| {
        let _ = limiter.try_acquire(Key::of(&key), 1);
    });
    assert_eq!(limiter.keys(), 16, "what is idle does not");

    limiter.set_keys_max(320);
    (0..10_000).for_each(|key| {
        let _ = limiter.try_acquire(Key::of(&key), 1);
    });
    assert_eq!((limiter.keys(), limiter.keys_max()), (320, 320));
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_takes_no_place() {
    let limiter = KeyedRateLimiter::new(Quota::per_second(2), 160);
    assert!(limiter.try_acquire(Key::of("greedy"), 3).is_err());
    assert_eq!(limiter.keys(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_keyed_reservation_is_given_back() {
    let limiter = KeyedRateLimiter::new(Quota::per_second(10).with_burst(1), 160);
    let key = Key::of("alice");
    assert!(limiter.try_acquire(key, 1).is_ok());
    let start = Instant::now();
    for _ in 0..2 {
        let reservation = limiter.reserve(key, 1, SECOND).expect("there is time");
        assert_eq!(reservation.ready_at() - start, 100 * MS);
    }
}

#[tokio::test]
async fn the_limiter_of_a_process_is_a_shared_one() {
    async fn twice(limiter: &impl SharedLimiter) -> [bool; 2] {
        let mut passed = [false; 2];
        for passed in &mut passed {
            *passed = limiter.acquire("alice", 1).await.expect("it is here").is_ok();
        }
        passed
    }
    assert_eq!(twice(&KeyedRateLimiter::new(Quota::per_minute(1), 16)).await, [true, false]);

    let decision = Decision::from_parts(7, 1500 * MS);
    assert_eq!((decision.remaining(), decision.reset_after()), (7, 1500 * MS));
}

fn waiting(wait_max: Duration) -> RateLimitPolicy {
    RateLimitPolicy { wait_max }
}

#[tokio::test(start_paused = true)]
async fn the_layer_refuses_at_once_or_waits_as_its_policy_says() {
    let callee = Callee::new(|_, _| async { success() });
    let calls = callee.calls();
    let limiter = RateLimiter::new(Quota::per_second(10).with_burst(1));
    let layer = RateLimitLayer::new(limiter);
    let mut service = layer.layer(callee.clone());
    let mut call = async || service.ready().await.expect("ready").call(Request::new(())).await;
    assert!(call().await.is_ok());
    let refused = call().await.expect_err("the quota is used").rejection();
    let Some(Rejection::RateLimited(Error::Limited { retry_after, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((retry_after, calls.load(Ordering::Relaxed)), (100 * MS, 1));

    let start = Instant::now();
    let service = layer.clone().with_policy(waiting(150 * MS)).layer(callee.clone());
    assert!(service.clone().oneshot(Request::new(())).await.is_ok());
    assert!((100 * MS..=102 * MS).contains(&start.elapsed()), "{:?}", start.elapsed());

    let mut request = Request::new(());
    request.set_deadline(Deadline::within(50 * MS));
    let start = Instant::now();
    assert!(service.oneshot(request).await.is_err());
    assert_eq!((start.elapsed(), calls.load(Ordering::Relaxed)), (Duration::ZERO, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_gives_its_turn_back() {
    let limiter = RateLimiter::new(Quota::per_second(10).with_burst(1));
    let layer = RateLimitLayer::new(limiter).with_policy(waiting(SECOND));
    let mut service = layer.layer(Callee::new(|_, _| async { success() }));
    assert!(service.ready().await.expect("ready").call(Request::new(())).await.is_ok());
    let start = Instant::now();
    for _ in 0..20 {
        let call = service.ready().await.expect("ready").call(Request::new(()));
        assert!(tokio::time::timeout(MS, call).await.is_err());
    }
    assert!(service.ready().await.expect("ready").call(Request::new(())).await.is_ok());
    assert!(start.elapsed() <= 103 * MS, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_can_cost_more_than_one() {
    let limiter = RateLimiter::new(Quota::per_second(10));
    let weighted = limiter.clone().weighted(
        |request: &Request| {
            if request.method() == http::Method::POST { 5 } else { 1 }
        },
    );
    let mut service = RateLimitLayer::new(weighted).layer(Callee::new(|_, _| async { success() }));
    let post = http::Request::post("/").body(()).expect("a valid request");
    for request in [post.clone(), Request::new(())] {
        assert!(service.ready().await.expect("ready").call(request).await.is_ok());
    }
    assert_eq!(limiter.available(), 4);
    assert!(service.ready().await.expect("ready").call(post).await.is_err());
}

/// Sends a request of `tenant` with the content type `kind`.
async fn ask<S>(service: &mut S, tenant: &str, kind: &str) -> http::Response<String>
where
    S: Service<http::Request<String>, Response = http::Response<String>, Error = std::convert::Infallible>,
{
    let request = http::Request::post("/").header("x-tenant", tenant).header("content-type", kind);
    let request = request.body(String::new()).expect("a valid request");
    service.ready().await.expect("ready").call(request).await.expect("it answers")
}

#[tokio::test(start_paused = true)]
async fn http_and_grpc_answers_say_what_is_left() {
    let limiter = KeyedRateLimiter::new(Quota::new(2, 3 * SECOND), 100);
    let by_tenant = limiter.by(|request: &http::Request<String>| Key::of(&request.headers()["x-tenant"]));
    let mut service = HttpRateLimitLayer::new("ten\"ant", by_tenant)
        .layer(service_fn(|_| async { Ok(http::Response::new(String::from("hello"))) }));

    let response = ask(&mut service, "a", "text/plain").await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "hello"));
    assert_eq!(response.headers()["ratelimit-policy"], r#""tenant";q=2;w=3"#);
    assert_eq!(response.headers()["ratelimit"], r#""tenant";r=1;t=2"#, "1.5 s is rounded up");
    assert_eq!(ask(&mut service, "a", "text/plain").await.headers()["ratelimit"], r#""tenant";r=0;t=3"#);

    let response = ask(&mut service, "a", "text/plain").await;
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["ratelimit"], r#""tenant";r=0;t=2"#);
    assert!(response.classify().is_retryable() && response.retry_after() == Some(2 * SECOND));

    let response = ask(&mut service, "a", "application/grpc+proto").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"8".parse().unwrap())
    );
    assert_eq!(response.retry_after(), Some(1500 * MS));
    assert!(response.classify().is_retryable());
    assert_eq!(ask(&mut service, "b", "text/plain").await.status().as_u16(), 200);
}

/// Which requests conform, by a list of all that did.
#[derive(Default)]
struct Model {
    taken: Vec<(u64, u32)>,
}

impl Model {
    /// Says whether `permits` at `now` keep every window within the burst plus what the window is worth: a token
    /// bucket, written for reading.
    fn conforms(&self, terms: Terms, permits: u32, now: u64) -> bool {
        let mut used = u64::from(permits) * terms.interval;
        if used > terms.tolerance {
            return false;
        }
        self.taken.iter().rev().all(|&(then, permits)| {
            used += u64::from(permits) * terms.interval;
            used <= terms.tolerance + (now - then)
        })
    }
}

proptest! {
    #[test]
    fn gcra_is_a_token_bucket(
        interval in 1..1000_u64,
        burst in 1..10_u32,
        steps in prop::collection::vec((0..3000_u64, 1..12_u32), 1..100),
    ) {
        let terms = Terms::new(interval, burst);
        let (mut arrival, mut now, mut model) = (0, 0, Model::default());
        for (step, permits) in steps {
            now += step;
            let charge = terms.charge(arrival, permits, now);
            let fits = terms.cost(permits) <= terms.tolerance;
            let conforms = fits && charge.wait == 0;
            prop_assert_eq!(conforms, model.conforms(terms, permits, now));
            if fits {
                // What is told to wait conforms then, and not a nanosecond earlier.
                prop_assert!(model.conforms(terms, permits, now + charge.wait));
                prop_assert!(charge.wait == 0 || !model.conforms(terms, permits, now + charge.wait - 1));
            }
            if conforms {
                arrival = charge.arrival;
                model.taken.push((now, permits));
                let most = (0..=burst).rev().find(|&most| model.conforms(terms, most, now));
                prop_assert_eq!(Some(terms.remaining(arrival, now)), most);
            }
        }
    }

    #[test]
    fn what_was_used_is_converted_in_permits(
        old in 1..1_000_000_u64,
        new in 1..1_000_000_u64,
        burst in 1..1000_u32,
        used in 0..1000_u32,
    ) {
        let used = used.min(burst);
        let (old, new) = (Terms::new(old, burst), Terms::new(new, burst));
        let arrival = new.convert(old, 5 + old.cost(used), 5);
        prop_assert_eq!(new.remaining(arrival, 5), burst - used);
    }

    #[test]
    fn keys_do_not_know_of_each_other(
        steps in prop::collection::vec((0..5_u8, 0..400_u64), 1..100),
        burst in 1..4_u32,
    ) {
        let quota = Quota::per_second(10).with_burst(burst);
        let keyed = KeyedRateLimiter::new(quota, 1000);
        let alone: Vec<_> = (0..5).map(|_| RateLimiter::new(quota)).collect();
        let mut now = Instant::now() + SECOND;
        for (key, step) in steps {
            now += Duration::from_millis(step);
            let together = keyed.shared.take(Key::of(&key), 1, 0, now).is_ok();
            prop_assert_eq!(together, alone[key as usize].try_acquire_at(1, now).is_ok());
        }
    }
}

#[test]
fn far_values_neither_panic_nor_overflow() {
    let limiter = RateLimiter::new(Quota::new(0, Duration::MAX).with_burst(u32::MAX));
    let burst = limiter.quota().burst();
    assert!((30..40).contains(&burst), "{burst} years");
    assert_eq!(limiter.try_acquire(u32::MAX), Err(Error::ExceedsBurst { permits: u32::MAX, burst }));
    assert!(limiter.try_acquire(burst).is_ok());
    assert!(limiter.try_acquire(1).is_err());
    assert!(limiter.reserve(burst, Duration::MAX).is_ok());
    limiter.set_quota(Quota::new(u32::MAX, Duration::ZERO).with_burst(0));
    let _ = limiter.reserve(1, Duration::MAX).map(drop);
    let shared = Arc::clone(&limiter.shared);
    shared.refund(0, u32::MAX);
    let error: Guarded<crate::testing::Failure> =
        Rejection::from(Error::ExceedsBurst { permits: 2, burst: 1 }).into();
    assert!(!error.classify().is_retryable());
}
