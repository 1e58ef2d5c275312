//! A stack of all guards allocates nothing for a call that succeeds, also after its settings have changed; so does one at a
//! server.

mod counting;

use std::convert::Infallible;
use std::time::Duration;

use counting::ALLOCATIONS;
use steadfast_base::{Context, ContextMut, Deadline, TraceContext};
use steadfast_guard::rate_limit::Key;
use steadfast_guard::stack::{OutgoingSettings, Stack};
use steadfast_guard::{Error, FallbackLayer};
use tower::{Layer, Service, service_fn};

/// A request without a map of extensions, which would allocate by itself.
#[derive(Clone)]
struct Call(Option<Deadline>);

impl Context for Call {
    fn deadline(&self) -> Option<Deadline> {
        self.0
    }
    fn trace(&self) -> Option<TraceContext> {
        None
    }
    fn key(&self) -> Option<&str> {
        Some("k1")
    }
    fn operation(&self) -> &str {
        "test"
    }
}

impl ContextMut for Call {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.0 = Some(deadline);
    }
}

fn settings(hedge: &str, quota: &str) -> OutgoingSettings {
    let text = format!(
        r#"{{
            "fallback": true, "deadline": {{"overhead": "measured"}}, "retry": {{"attemptTimeout": "1s"}},
            "hedge": {{"samplesMin": 1, "delayMin": "{hedge}"}}, "rateLimit": {{"rate": "{quota}"}},
            "bulkhead": {{}}, "shed": {{"window": "0s"}}, "timeout": {{"after": "500ms"}},
            "breaker": {{"window": "10s", "slowCalls": {{"longerThan": "100ms"}}}}
        }}"#
    );
    serde_json::from_str(&text).expect("settings")
}

#[tokio::test]
async fn no_allocation_on_the_happy_path() {
    type Answer = Result<http::Response<()>, Error<Infallible>>;
    let stack = Stack::outgoing("test")
        .fallback(FallbackLayer::value(|_: &Answer| None))
        .configured(&settings("1s", "1000000/s"))
        .expect("it can be");
    let mut service = stack.layer(service_fn(|_: Call| async {
        // The answer is not there at once, so that the timers are set.
        tokio::task::yield_now().await;
        Ok::<_, Error<Infallible>>(http::Response::new(()))
    }));
    let mut allocations = 0;
    for round in 0..2000 {
        if round == 1000 {
            stack.apply(&settings("2s", "2000000/s")).expect("it can be");
        }
        let before = ALLOCATIONS.get();
        std::future::poll_fn(|cx| Service::<Call>::poll_ready(&mut service, cx)).await.expect("ready");
        service.call(Call(None)).await.expect("it succeeds");
        if round % 1000 >= 10 {
            allocations += ALLOCATIONS.get() - before;
        }
    }
    assert_eq!(allocations, 0);
    assert!(stack.hedge().is_some_and(|hedge| hedge.snapshot().delay >= Some(Duration::from_secs(2))));
    assert!(stack.shed().is_some_and(|shed| shed.snapshot().baseline.is_some()));
}

#[tokio::test]
async fn no_allocation_for_an_incoming_call_of_a_key_that_is_known() {
    type Answer = Result<http::Response<()>, Error<Infallible>>;
    type Request = http::Request<()>;
    let settings = r#"{
        "deadline": {}, "keyedRateLimit": {"rate": "1000000/s"}, "fallback": true, "rateLimit": {"rate": "1000000/s"},
        "bulkhead": {}, "shed": {"window": "0s"}, "refuseExpired": {}
    }"#;
    let stack = Stack::incoming("test")
        .keyed_rate_limit(|request: &Request| Key::of(request.uri().path()), Default::default())
        .fallback(FallbackLayer::value(|_: &Answer| None))
        .configured(&serde_json::from_str(settings).expect("settings"))
        .expect("it can be");
    let mut service = stack.layer(service_fn(async |_: Request| -> Answer { Ok(http::Response::new(())) }));
    let mut allocations = 0;
    for round in 0..1000 {
        // The request's own map is there already.
        let mut request = Request::new(());
        request.set_deadline(Deadline::within(Duration::from_secs(60)));
        let before = ALLOCATIONS.get();
        std::future::poll_fn(|cx| Service::<Request>::poll_ready(&mut service, cx)).await.expect("ready");
        service.call(request).await.expect("it succeeds");
        if round >= 10 {
            allocations += ALLOCATIONS.get() - before;
        }
    }
    assert_eq!(allocations, 0);
    assert_eq!(stack.keyed_rate_limiter().map(|limiter| limiter.keys()), Some(1));
}
