//! The guards allocate nothing for a call that succeeds at once or after a wait.

mod counting;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use counting::ALLOCATIONS;
use steadfast_base::{Budget, Seed};
use steadfast_guard::breaker::{SlowCalls, Window};
use steadfast_guard::testing::bare::Call;
use steadfast_guard::{
    Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Error, RefuseExpiredLayer, RetryLayer, RetryPolicy,
    TimeoutLayer,
};
use tower::{Service, ServiceBuilder, service_fn};

/// Counts the allocations of a call through all guards, after the first few.
async fn allocations(breaker: BreakerPolicy, is_there_at_once: bool) -> u64 {
    let policy = RetryPolicy { attempt_timeout: Some(Duration::from_secs(1)), ..RetryPolicy::default() };
    let mut service = ServiceBuilder::new()
        .layer(RefuseExpiredLayer::default())
        .layer(DeadlineLayer::default())
        .layer(RetryLayer::new(policy, Arc::new(Budget::default()), Seed::new(1)))
        .layer(TimeoutLayer::default())
        .layer(BreakerLayer::new(Breaker::new("test", breaker)))
        .service(service_fn(move |_: Call| async move {
            if !is_there_at_once {
                // The timers are set.
                tokio::task::yield_now().await;
            }
            Ok::<_, Error<Infallible>>(http::Response::new(()))
        }));
    let mut before = 0;
    for round in 0..1000 {
        if round == 10 {
            before = ALLOCATIONS.get();
        }
        std::future::poll_fn(|cx| Service::<Call>::poll_ready(&mut service, cx)).await.expect("ready");
        service.call(Call(None)).await.expect("it succeeds");
    }
    ALLOCATIONS.get() - before
}

#[tokio::test]
async fn no_allocation_on_the_happy_path() {
    let slow_calls = Some(SlowCalls { longer_than: Duration::from_secs(1), ratio: 0.5 });
    let by_time = BreakerPolicy {
        window: Window::Time(Duration::from_secs(10)),
        slow_calls,
        ..BreakerPolicy::default()
    };
    for policy in [BreakerPolicy::default(), by_time] {
        for is_there_at_once in [true, false] {
            assert_eq!(allocations(policy, is_there_at_once).await, 0, "{policy:?}");
        }
    }
}
