//! The guards against load allocate nothing for a call that finds room and succeeds.

mod counting;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use counting::ALLOCATIONS;
use steadfast_base::{Budget, Context, Deadline, Seed, TraceContext};
use steadfast_guard::hedge::{Hedge, HedgeLayer, HedgePolicy};
use steadfast_guard::rate_limit::{Key, KeyedRateLimiter, Quota, RateLimitLayer, RateLimiter};
use steadfast_guard::{
    Bulkhead, BulkheadLayer, BulkheadPolicy, Error, FallbackLayer, Shed, ShedLayer, ShedPolicy,
};
use tower::{Service, ServiceBuilder, service_fn};

/// A request without a map of extensions, which would allocate by itself.
#[derive(Clone)]
struct Call;

impl Context for Call {
    fn deadline(&self) -> Option<Deadline> {
        None
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

#[tokio::test]
async fn no_allocation_on_the_happy_path() {
    type Answer = Result<http::Response<()>, Error<Infallible>>;
    let hedge = Hedge::new(
        "test",
        HedgePolicy { samples_min: 1, delay_min: Duration::from_secs(9), ..HedgePolicy::default() },
        Arc::new(Budget::default()),
    );
    let shed =
        Shed::new("test", ShedPolicy { window: Duration::ZERO, ..ShedPolicy::default() }, Seed::new(1));
    let plenty = Quota::per_second(1_000_000);
    let mut service = ServiceBuilder::new()
        .layer(FallbackLayer::value(|_: &Answer| None))
        .layer(HedgeLayer::new(hedge.clone()))
        .layer(RateLimitLayer::new(RateLimiter::new(plenty)))
        .layer(RateLimitLayer::new(KeyedRateLimiter::new(plenty, 100).by(|call: &Call| Key::of(&call.key()))))
        .layer(BulkheadLayer::new(Bulkhead::new("test", BulkheadPolicy::default())))
        .layer(ShedLayer::new(shed.clone()))
        .service(service_fn(|_: Call| async {
            // The answer is not there at once, so that the timers are set.
            tokio::task::yield_now().await;
            Ok::<_, Error<Infallible>>(http::Response::new(()))
        }));
    let mut before = 0;
    for round in 0..1000 {
        if round == 10 {
            before = ALLOCATIONS.get();
        }
        std::future::poll_fn(|cx| Service::<Call>::poll_ready(&mut service, cx)).await.expect("ready");
        service.call(Call).await.expect("it succeeds");
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(hedge.snapshot().delay.is_some(), "a hedge was made ready");
    assert!(shed.snapshot().baseline.is_some(), "the limit was computed");
}
