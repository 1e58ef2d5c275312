//! What is refused, and that it says how to mend it.

use crate::FallbackLayer;
use crate::rate_limit::Key;
use crate::stack::{Error, IncomingSettings, KeyedRateLimitSettings, OutgoingSettings, Stack};
use crate::testing::{Answer, Request};

fn outgoing(settings: &str) -> Result<(), Error> {
    let settings: OutgoingSettings = serde_json::from_str(settings).expect(settings);
    Stack::outgoing("test").configured(&settings).map(|_| ())
}

fn incoming(settings: &str) -> Result<(), Error> {
    let settings: IncomingSettings = serde_json::from_str(settings).expect(settings);
    Stack::incoming("test").configured(&settings).map(|_| ())
}

#[test]
fn nonsense_in_outgoing_stacks_is_refused_by_name() {
    for (settings, place) in [
        (r#""retry": {}"#, "retry"),
        (r#""hedge": {}"#, "hedge"),
        (r#""fallback": true"#, "fallback"),
        (r#""deadline": {"default": "0s"}"#, "deadline.default"),
        (r#""deadline": {"default": "10ms"}"#, "deadline.overhead"),
        (r#""deadline": {}, "retry": {"attemptsMax": 0}"#, "retry.attemptsMax"),
        (r#""deadline": {}, "retry": {"attemptTimeout": "4s"}"#, "retry.attemptTimeout"),
        (r#""deadline": {}, "retry": {"attemptTimeout": "0s"}"#, "retry.attemptTimeout"),
        (r#""deadline": {}, "retry": {"overallTimeout": "4s"}"#, "retry.overallTimeout"),
        (r#""retry": {"overallTimeout": "4s", "attemptTimeout": "5s"}"#, "retry.attemptTimeout"),
        (r#""deadline": {}, "retry": {"backoff": {"initial": "3s"}}"#, "retry.backoff.initial"),
        (r#""deadline": {}, "retry": {"backoff": {"factor": 0.5}}"#, "retry.backoff.factor"),
        (r#""deadline": {}, "retry": {"budget": {"share": "0%", "perSecond": 0}}"#, "retry.budget"),
        (r#""deadline": {}, "hedge": {"budget": {"share": "0%"}}"#, "hedge.budget"),
        (r#""deadline": {}, "hedge": {"percentile": "20%"}"#, "hedge.percentile"),
        (r#""deadline": {}, "hedge": {"delayMin": "1s", "delayMax": "1ms"}"#, "hedge.delayMin"),
        (r#""deadline": {}, "hedge": {"delayMin": "5s"}"#, "hedge.delayMin"),
        (r#""deadline": {}, "timeout": {"after": "5s"}"#, "timeout.after"),
        (r#""timeout": {"after": "0s"}"#, "timeout.after"),
        (r#""deadline": {}, "rateLimit": {"waitMax": "5s"}"#, "rateLimit.waitMax"),
        (r#""deadline": {}, "bulkhead": {"waitMax": "5s"}"#, "bulkhead.waitMax"),
        (r#""bulkhead": {"concurrencyMax": 0}"#, "bulkhead.concurrencyMax"),
        (r#""deadline": {}, "shed": {"waitMax": "5s"}"#, "shed.waitMax"),
        (r#""shed": {"limitMin": 0}"#, "shed.limitMin"),
        (r#""shed": {"limitMin": 9, "limitMax": 8}"#, "shed.limitMin"),
        (r#""shed": {"limitInitial": 2000}"#, "shed.limitInitial"),
        (r#""shed": {"tolerance": 0.5}"#, "shed.tolerance"),
        (r#""shed": {"limitMin": 9}, "bulkhead": {"concurrencyMax": 8}"#, "shed.limitMin"),
        (r#""breaker": {"failureRatio": "0%"}"#, "breaker.failureRatio"),
        (r#""breaker": {"window": 10}"#, "breaker.callsMin"),
        (r#""breaker": {"window": 100000}"#, "breaker.window"),
        (r#""breaker": {"window": "0s"}"#, "breaker.window"),
        (r#""breaker": {"probes": 0}"#, "breaker.probes"),
        (r#""breaker": {"openFor": "0s"}"#, "breaker.openFor"),
        (r#""breaker": {"consecutiveFailures": 0}"#, "breaker.consecutiveFailures"),
        (r#""deadline": {}, "breaker": {"slowCalls": {"longerThan": "4s"}}"#, "breaker.slowCalls.longerThan"),
        (
            r#""deadline": {}, "timeout": {}, "breaker": {"slowCalls": {"longerThan": "1s"}}"#,
            "breaker.slowCalls.longerThan",
        ),
    ] {
        let error = outgoing(&format!("{{{settings}}}")).expect_err(settings).to_string();
        assert!(error.starts_with(&format!("{place}: ")), "{settings}: {error}");
        // It says what to do.
        assert!(error.contains("; "), "{settings}: {error}");
    }
}

#[test]
fn nonsense_in_incoming_stacks_is_refused_by_name() {
    for (settings, place) in [
        (r#""refuseExpired": {}"#, "refuseExpired"),
        (r#""fallback": true"#, "fallback"),
        (r#""keyedRateLimit": {}"#, "keyedRateLimit"),
        (r#""keyedRateLimit": {"keysMax": 0}"#, "keyedRateLimit.keysMax"),
        (
            r#""deadline": {"max": "2s", "default": "1s"}, "keyedRateLimit": {"waitMax": "3s"}"#,
            "keyedRateLimit.waitMax",
        ),
        (r#""keyedRateLimit": {"rate": "101/s"}, "rateLimit": {"rate": "100/s"}"#, "keyedRateLimit.rate"),
        (r#""deadline": {"default": "2m"}"#, "deadline.default"),
        (r#""deadline": {"default": "1s", "max": "2s"}, "bulkhead": {"waitMax": "3s"}"#, "bulkhead.waitMax"),
    ] {
        let error = incoming(&format!("{{{settings}}}")).expect_err(settings).to_string();
        assert!(error.starts_with(&format!("{place}: ")), "{settings}: {error}");
    }
}

#[test]
fn what_makes_sense_is_taken() {
    for settings in [
        "{}",
        r#"{"retry": {"overallTimeout": "10s"}}"#,
        r#"{"deadline": {}, "hedge": {}, "retry": {}, "rateLimit": {}, "bulkhead": {}, "shed": {}, "breaker": {}, "timeout": {}}"#,
        r#"{"deadline": {}, "timeout": {}, "breaker": {"slowCalls": {"longerThan": "900ms"}}}"#,
    ] {
        assert_eq!(outgoing(settings), Ok(()), "{settings}");
    }
    let all = r#"{"serverTiming": true, "deadline": {}, "rateLimit": {}, "bulkhead": {}, "shed": {}, "refuseExpired": {}}"#;
    assert_eq!(incoming(all), Ok(()));
    let named = |settings: &str| {
        Stack::incoming("test")
            .keyed_rate_limit(|_: &Request| Key::of("all"), KeyedRateLimitSettings::default())
            .fallback(FallbackLayer::value(|_: &Answer| None))
            .configured(&serde_json::from_str(settings).expect(settings))
            .map(|_| ())
    };
    for settings in [
        "{}",
        r#"{"keyedRateLimit": {}, "fallback": true, "rateLimit": {}}"#,
        // It bounds bursts, which the limit of all does not.
        r#"{"keyedRateLimit": {"rate": "200/s", "burst": 10}, "rateLimit": {"rate": "100/s"}}"#,
    ] {
        assert_eq!(named(settings), Ok(()), "{settings}");
    }
}

#[test]
fn an_error_says_what_is_wrong_and_how_to_mend_it() {
    let error =
        outgoing(r#"{"deadline": {"default": "2s"}, "retry": {"attemptTimeout": "5s"}}"#).unwrap_err();
    let text = "retry.attemptTimeout: 5s is longer than a call may take, 2s; lower it, or raise the deadline";
    assert_eq!(error.to_string(), text);
    let error = incoming(r#"{"keyedRateLimit": {"rate": "101/s"}, "rateLimit": {}}"#).unwrap_err();
    let text = "keyedRateLimit.rate: 101 per 1s, 101 at a time, is more for one key than for all together, \
                100 per 1s, 100 at a time; lower it, or raise `rateLimit.rate`";
    assert_eq!(error.to_string(), text);
    let error = incoming(r#"{"keyedRateLimit": {}}"#).unwrap_err();
    let text = "keyedRateLimit: this stack has no place for it; \
                name it when the stack is built, for what the key of a request is is code";
    assert_eq!(error.to_string(), text);
    let error = outgoing(r#"{"retry": {}}"#).unwrap_err();
    let text = "retry: repetitions without a deadline go on when nobody waits any more; \
                switch the deadline on, or set `retry.overallTimeout`";
    assert_eq!(error.to_string(), text);
}
