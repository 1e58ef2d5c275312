//! Settings as a document.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use crate::breaker::{BreakerPolicy, SlowCalls, Window};
use crate::rate_limit::Quota;
use crate::stack::{
    BudgetPolicy, DeadlineSettings, HedgeSettings, IncomingSettings, KeyedRateLimitSettings,
    OutgoingSettings, RateLimitSettings, RetrySettings,
};
use crate::{BulkheadPolicy, HedgePolicy, RateLimitPolicy, RetryPolicy, ShedPolicy};

fn outgoing(document: serde_json::Value) -> Result<OutgoingSettings, String> {
    serde_json::from_value(document).map_err(|error| error.to_string())
}

#[test]
fn an_empty_guard_is_one_with_its_defaults() {
    let all = json!({"deadline": {}, "hedge": {}, "retry": {}, "rateLimit": {}, "bulkhead": {}, "shed": {}, "breaker": {}, "timeout": {}});
    let expected = OutgoingSettings {
        fallback: false,
        deadline: Some(DeadlineSettings::default()),
        hedge: Some(HedgeSettings::default()),
        retry: Some(RetrySettings::default()),
        rate_limit: Some(RateLimitSettings::default()),
        bulkhead: Some(BulkheadPolicy::default()),
        shed: Some(ShedPolicy::default()),
        breaker: Some(BreakerPolicy::default()),
        timeout: Some(Duration::from_secs(1)),
    };
    assert_eq!(outgoing(all), Ok(expected));
    let all = json!({"keyedRateLimit": {}, "rateLimit": {}});
    let expected = IncomingSettings {
        keyed_rate_limit: Some(KeyedRateLimitSettings::default()),
        rate_limit: Some(RateLimitSettings::default()),
        ..IncomingSettings::default()
    };
    assert_eq!(serde_json::from_value::<IncomingSettings>(all).ok(), Some(expected));
    let null = json!({"deadline": null, "breaker": null});
    assert_eq!(outgoing(null), Ok(OutgoingSettings::default()));
}

#[test]
fn errors_name_what_is_wrong() {
    for (document, error) in [
        (json!({"retries": {}}), "unknown field `retries`, expected one of `fallback`, `deadline`"),
        (json!({"retry": {"attempts": 3}}), "unknown field `attempts`, expected one of `attemptsMax`"),
        (json!({"timeout": {"after": 5}}), "expected a duration with a unit"),
        (json!({"timeout": {"after": "5"}}), "duration `5`: has no unit"),
        (json!({"retry": {"budget": {"share": 0.2}}}), "expected a percentage"),
        (json!({"rateLimit": {"rate": "100"}}), "rate `100`: has no unit"),
        (json!({"rateLimit": {"rate": "0/s"}}), "the rate must be more than 0"),
        (json!({"deadline": {"overhead": "some"}}), "duration `some`: expected a number"),
        (json!({"breaker": {"window": -1}}), "expected a number of calls, such as 100, or a duration"),
    ] {
        let found = outgoing(document.clone()).expect_err("it is wrong");
        assert!(found.contains(error), "{document}: {found}");
    }
}

#[test]
fn errors_in_incoming_settings_name_what_is_wrong() {
    for (document, error) in [
        (json!({"keyedRateLimits": {}}), "unknown field `keyedRateLimits`, expected one of `serverTiming`"),
        (json!({"keyedRateLimit": {"keys": 3}}), "unknown field `keys`, expected one of `rate`, `burst`"),
        (json!({"keyedRateLimit": {"rate": "0/s"}}), "the rate must be more than 0"),
        (json!({"keyedRateLimit": {"keysMax": -1}}), "invalid value: integer `-1`, expected usize"),
        (json!({"fallback": {}}), "invalid type: map, expected a boolean"),
    ] {
        let found = serde_json::from_value::<IncomingSettings>(document.clone()).expect_err("it is wrong");
        assert!(found.to_string().contains(error), "{document}: {found}");
    }
}

fn time() -> impl Strategy<Value = Duration> {
    (1..10_000_000_u64).prop_map(Duration::from_micros)
}

fn budget() -> impl Strategy<Value = BudgetPolicy> {
    (0..=100_u32, 0..100_u32)
        .prop_map(|(share, per_second)| BudgetPolicy { share: f64::from(share) / 100.0, per_second })
}

fn settings() -> impl Strategy<Value = OutgoingSettings> {
    let calls = (time(), prop::option::of(time()), time(), prop::option::of(time()), budget(), 1..100_u32);
    let load = (1..1000_u32, prop::sample::select(vec![1_u64, 2, 60, 7200]), 1..1000_u32, time(), time());
    (prop::array::uniform8(any::<bool>()), calls, load).prop_map(|(on, calls, load)| {
        let (time, maybe, other, maybe_other, budget, number) = calls;
        let (permits, window, burst, wait_max, wait_target) = load;
        let [deadline, hedge, retry, rate_limit, bulkhead, shed, breaker, timeout] = on;
        let ratio = f64::from(number) / 100.0;
        OutgoingSettings {
            fallback: number % 2 == 0,
            deadline: deadline.then_some(DeadlineSettings { default: time, overhead: maybe }),
            hedge: hedge.then_some(HedgeSettings {
                policy: HedgePolicy {
                    percentile: ratio,
                    delay_min: time,
                    delay_max: maybe.unwrap_or(Duration::MAX),
                    samples_min: number,
                    window: other,
                },
                budget,
            }),
            retry: retry.then_some(RetrySettings {
                policy: RetryPolicy {
                    attempts_max: number,
                    attempt_timeout: maybe,
                    overall_timeout: maybe_other,
                    retry_after_max: other,
                    ..RetryPolicy::default()
                },
                budget,
            }),
            rate_limit: rate_limit.then_some(RateLimitSettings {
                quota: Quota::new(permits, Duration::from_secs(if window == 2 { 1 } else { window }))
                    .with_burst(burst),
                policy: RateLimitPolicy { wait_max },
            }),
            bulkhead: bulkhead.then_some(BulkheadPolicy {
                concurrency_max: number,
                queue_max: burst as usize,
                wait_max,
                newest_first_after: maybe.unwrap_or(Duration::MAX),
            }),
            shed: shed.then_some(ShedPolicy {
                limit_initial: number,
                wait_max,
                wait_target,
                // Written exactly by few digits.
                tolerance: 1.0 + f64::from(number) / 64.0,
                ..ShedPolicy::default()
            }),
            breaker: breaker.then_some(BreakerPolicy {
                window: maybe.map_or(Window::Calls(number), Window::Time),
                failure_ratio: ratio,
                slow_calls: maybe_other.map(|longer_than| SlowCalls { longer_than, ratio }),
                consecutive_failures: (number % 3 == 0).then_some(number),
                open_for: other,
                ..BreakerPolicy::default()
            }),
            timeout: timeout.then_some(time),
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(settings in settings()) {
        let text = serde_json::to_string(&settings).expect("it can be written");
        let read: OutgoingSettings = serde_json::from_str(&text).expect(&text);
        // A window of two hours is so many per hour, which is the same rate.
        let rate = |settings: &OutgoingSettings| {
            settings.rate_limit.map(|limit| {
                (f64::from(limit.quota.permits()) / limit.quota.window().as_secs_f64(), limit.quota.burst())
            })
        };
        prop_assert_eq!(rate(&read), rate(&settings), "{}", text);
        let without = |settings: &OutgoingSettings| OutgoingSettings { rate_limit: None, ..settings.clone() };
        prop_assert_eq!(without(&read), without(&settings), "{}", text);
    }

    #[test]
    fn what_is_written_of_incoming_calls_is_read_back(
        settings in settings(),
        (by_key, fallback, keys_max, permits) in (any::<bool>(), any::<bool>(), 1..1_000_000_usize, 1..1000_u32),
    ) {
        let OutgoingSettings { rate_limit, bulkhead, shed, .. } = settings;
        let quota = Quota::per_second(permits).with_burst(7);
        let policy = rate_limit.map(|limit| limit.policy).unwrap_or_default();
        let incoming = IncomingSettings {
            server_timing: fallback,
            keyed_rate_limit: by_key.then_some(KeyedRateLimitSettings { quota, policy, keys_max }),
            fallback,
            bulkhead,
            shed,
            ..IncomingSettings::default()
        };
        let text = serde_json::to_string(&incoming).expect("it can be written");
        prop_assert_eq!(serde_json::from_str::<IncomingSettings>(&text).expect(&text), incoming, "{}", text);
    }

    #[test]
    fn no_document_panics(text in "\\{.{0,80}\\}") {
        let _ = serde_json::from_str::<OutgoingSettings>(&text);
        let _ = serde_json::from_str::<IncomingSettings>(&text);
    }
}
