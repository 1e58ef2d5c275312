//! The order of the guards, and how they are shown.

use std::time::Duration;

use steadfast_base::Seed;
use tower::{Layer, ServiceExt};

use crate::breaker::BreakerPolicy;
use crate::deadline::RefuseExpiredPolicy;
use crate::rate_limit::{Key, Quota, RateLimitPolicy};
use crate::stack::{
    BudgetPolicy, DeadlineSettings, IncomingSettings, KeyedRateLimitSettings, OutgoingSettings, Stack,
};
use crate::testing::{Answer, Callee, Request, TRANSIENT, success};
use crate::{
    BulkheadPolicy, FallbackLayer, HedgePolicy, Rejection, RetryPolicy, ServerDeadlineLayer, ShedPolicy,
};

fn guards(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[tokio::test]
async fn guards_stand_in_their_order_in_whatever_order_they_are_named() {
    let (limit, hour) = (RateLimitPolicy::default(), Duration::from_secs(3600));
    let stack = Stack::outgoing("test")
        .timeout(Duration::from_millis(500))
        .shed(ShedPolicy::default())
        .retry(RetryPolicy::default(), BudgetPolicy::default())
        .rate_limit(Quota::new(9, hour), limit)
        .deadline(DeadlineSettings::default())
        .breaker(BreakerPolicy::default())
        .fallback(FallbackLayer::value(|_: &Answer| None))
        .bulkhead(BulkheadPolicy::default())
        .hedge(HedgePolicy::default(), BudgetPolicy::default())
        .build()
        .expect("it can be");
    let order =
        ["fallback", "deadline", "hedge", "retry", "rateLimit", "bulkhead", "shed", "breaker", "timeout"];
    assert_eq!(guards(&stack.to_string()), order);
    // It is made like that, too: the retry repeats, the limit counts its attempts, and the breaker sees no more.
    let service = stack.layer(Callee::new(|_, _| async { Err(TRANSIENT) }));
    for _ in 0..4 {
        assert!(service.clone().oneshot(Request::new(())).await.is_err());
    }
    assert_eq!(stack.retry().map(|retry| retry.counts().repeated), Some(6), "the fourth call finds no quota");
    assert_eq!(stack.breaker().map(|breaker| breaker.counts().failed), Some(9));

    let stack = Stack::incoming("test")
        .refuse_expired(RefuseExpiredPolicy::default())
        .fallback(FallbackLayer::value(|_: &Answer| None))
        .shed(ShedPolicy::default())
        .bulkhead(BulkheadPolicy::default())
        .rate_limit(Quota::per_second(500), limit)
        .keyed_rate_limit(|_: &Request| Key::of("all"), KeyedRateLimitSettings::default())
        .deadline(ServerDeadlineLayer::default())
        .server_timing()
        .build()
        .expect("it can be");
    let order = [
        "serverTiming",
        "deadline",
        "keyedRateLimit",
        "fallback",
        "rateLimit",
        "bulkhead",
        "shed",
        "refuseExpired",
    ];
    assert_eq!(guards(&stack.to_string()), order);
    let answer = stack.layer(Callee::new(|_, _| async { success() })).oneshot(Request::new(())).await;
    assert!(answer.expect("it succeeds").headers().contains_key("server-timing"));
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_told_so_and_what_others_bring_about_is_substituted() {
    let hour = Duration::from_secs(3600);
    let substitute = FallbackLayer::value(|failure: &Answer| {
        let is_known = matches!(
            failure.as_ref().map_err(|error| error.rejection()),
            Err(None | Some(Rejection::RateLimited(_) | Rejection::Bulkhead(_)))
        );
        is_known.then(|| http::Response::builder().status(203).body(()).expect("a valid response"))
    });
    let quota = |permits| KeyedRateLimitSettings { quota: Quota::new(permits, hour), ..Default::default() };
    let by_path = |request: &Request| Key::of(request.uri().path());
    let stack = Stack::incoming("test")
        .fallback(substitute.clone())
        .keyed_rate_limit(by_path, quota(2))
        .rate_limit(Quota::new(3, hour), RateLimitPolicy::default())
        .build()
        .expect("it can be");
    let service = stack.layer(Callee::new(|_, _| async { Err(TRANSIENT) }));
    let ask = async |path: &'static str| {
        let request = http::Request::get(path).body(()).expect("a valid request");
        service.clone().oneshot(request).await
    };
    for _ in 0..2 {
        assert!(ask("/a").await.is_ok_and(|answer| answer.status() == 203), "the handler's failure");
    }
    // The third of this key is told so, and takes nothing of the quota of all.
    let rejection = ask("/a").await.expect_err("it is refused").rejection();
    assert!(matches!(rejection, Some(Rejection::RateLimited(_))), "{rejection:?}");
    assert_eq!(stack.rate_limiter().map(|limiter| limiter.available()), Some(1));
    assert!(ask("/b").await.is_ok());
    // This one finds nothing left by others.
    assert!(ask("/b").await.is_ok_and(|answer| answer.status() == 203));
    assert_eq!(substitute.substituted(), 4);
}

#[test]
fn each_guard_is_shown_with_what_is_set_or_as_off() {
    let stack = Stack::outgoing("test").configured(&OutgoingSettings::default()).expect("nothing is set");
    assert!(stack.to_string().lines().all(|line| line.ends_with(" off")), "{stack}");
    assert_eq!(stack.to_string().lines().count(), 8);
    let settings = r#"{
        "deadline": {"default": "2s", "overhead": "5ms"},
        "hedge": {"delayMax": "1s"},
        "retry": {"attemptTimeout": "400ms", "backoff": {"jitter": "decorrelated"}},
        "rateLimit": {"rate": "30/m", "burst": 5, "waitMax": "1s"},
        "bulkhead": {"newestFirstAfter": null},
        "shed": {},
        "breaker": {"window": "10s", "slowCalls": {"longerThan": "300ms"}, "consecutiveFailures": null},
        "timeout": {"after": "350ms"}
    }"#;
    stack.apply(&serde_json::from_str(settings).expect("settings")).expect("they can be");
    let expected = "\
deadline      2s by default; 5ms kept back
hedge         after 95% of the latencies of 30s (100 at least), 1ms to 1s; budget of 5% and 0/s
retry         3 attempts of up to 400ms; waits from 50ms, times 2, to 2s, decorrelated jitter, what is asked for up to 1m; budget of 20% and 10/s
rateLimit     30 per 60s, 5 at a time; waits up to 1s
bulkhead      32 at a time; 64 wait, up to 1s, first in, first out
shed          2 to 1000 at a time, at first 20, latency up to 1.5 times the baseline; 256 wait, up to 100ms, or 5ms in a standing queue
breaker       opens at 50% failed of the calls of 10s (20 at least), at 50% longer than 300ms; 3 probes after 1s, within 5s
timeout       350ms an attempt";
    assert_eq!(stack.to_string(), expected);

    let stack = Stack::incoming("test")
        .keyed_rate_limit(|_: &Request| Key::of("all"), KeyedRateLimitSettings::default())
        .fallback(FallbackLayer::value(|_: &Answer| None))
        .configured(&IncomingSettings::default())
        .expect("nothing is set");
    assert!(stack.to_string().lines().all(|line| line.ends_with(" off")), "{stack}");
    let settings = r#"{
        "serverTiming": true,
        "deadline": {"default": "2s"},
        "keyedRateLimit": {"rate": "600/m", "burst": 20, "waitMax": "100ms", "keysMax": 5000},
        "fallback": true,
        "refuseExpired": {}
    }"#;
    stack.apply(&serde_json::from_str(settings).expect("settings")).expect("they can be");
    let expected = "\
serverTiming   on
deadline       2s by default, 1m at most
keyedRateLimit 600 per 60s, 20 at a time, for each of 5000 keys; waits up to 100ms
fallback       on
rateLimit      off
bulkhead       off
shed           off
refuseExpired  up to 20% of the calls";
    assert_eq!(stack.to_string(), expected);
}

#[tokio::test]
async fn a_registry_lists_the_breaker_and_a_seed_makes_a_run_repeatable() {
    let registry = crate::Registry::default();
    let stack = Stack::outgoing("payment")
        .registry(&registry)
        .seed(Seed::new(1))
        .breaker(BreakerPolicy::default())
        .build()
        .expect("it can be");
    registry.get("payment").expect("it is listed").open();
    let service = stack.layer(Callee::new(|_, _| async { success() }));
    let rejection = service.oneshot(Request::new(())).await.expect_err("it is open").rejection();
    assert!(matches!(rejection, Some(Rejection::BreakerOpen { .. })));
}
