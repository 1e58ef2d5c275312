//! Our guards, as their defaults are but for quotas and times that no call reaches.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use steadfast_base::{Budget, Deadline, Seed};
use steadfast_guard::breaker::{SlowCalls, Window};
use steadfast_guard::testing::bare::Bare;
use steadfast_guard::{
    Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Quota, RateLimitLayer, RateLimiter,
    RefuseExpiredLayer, Rejection, RetryLayer, RetryPolicy, TimeoutLayer,
};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, service_fn};

use super::round::Subject;

fn breaker_layer(policy: BreakerPolicy) -> BreakerLayer {
    BreakerLayer::new(Breaker::new("bench", policy))
}

/// With a window of time.
fn by_time() -> BreakerPolicy {
    BreakerPolicy { window: Window::Time(Duration::from_secs(10)), ..BreakerPolicy::default() }
}

fn limiter_layer() -> RateLimitLayer<RateLimiter> {
    RateLimitLayer::new(RateLimiter::new(Quota::per_second(super::peers::QUOTA)))
}

fn retry_layer() -> RetryLayer {
    let budget = Arc::new(Budget::default());
    // Full, as it is after a thousand calls.
    (0..2000).for_each(|_| budget.deposit());
    RetryLayer::new(RetryPolicy::default(), budget, Seed::new(1))
}

pub(super) fn breaker(bare: Bare) -> Subject {
    Subject::new(breaker_layer(BreakerPolicy::default()).layer(bare), None)
}

pub(super) fn limiter(bare: Bare) -> Subject {
    Subject::new(limiter_layer().layer(bare), None)
}

/// Asked before the call, as its peer is.
pub(super) fn limiter_told_the_time(mut bare: Bare) -> Subject {
    let (limiter, now) = (RateLimiter::new(Quota::per_second(super::peers::QUOTA)), Instant::now());
    let service = service_fn(move |call| match limiter.try_acquire_at(1, now) {
        Ok(_) => Either::Left(bare.call(call)),
        Err(error) => Either::Right(ready(Err(Rejection::RateLimited(error).into()))),
    });
    Subject::new(service, None)
}

pub(super) fn deadline(bare: Bare, deadline: Option<Deadline>) -> Subject {
    Subject::new(DeadlineLayer::default().layer(bare), deadline)
}

pub(super) fn retry(bare: Bare) -> Subject {
    Subject::new(retry_layer().layer(bare), None)
}

/// In the order in which they belong.
pub(super) fn stack(bare: Bare, deadline: Option<Deadline>) -> Subject {
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::default())
        .layer(retry_layer())
        .layer(limiter_layer())
        .layer(breaker_layer(BreakerPolicy::default()))
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(bare);
    Subject::new(service, deadline)
}

/// What has no peer: the name, the guard, and how often it reads the clock.
pub(super) fn alone(bare: Bare, far: Option<Deadline>) -> Vec<(&'static str, Subject, u32)> {
    let slow_calls = Some(SlowCalls { longer_than: Duration::from_secs(1), ratio: 0.5 });
    let slow = BreakerPolicy { slow_calls, ..by_time() };
    let measured = DeadlineLayer::measured(Duration::from_secs(3));
    let timeout = TimeoutLayer::new(Duration::from_secs(1));
    vec![
        ("breaker, window of time", Subject::new(breaker_layer(by_time()).layer(bare), None), 1),
        ("breaker, slow calls", Subject::new(breaker_layer(slow).layer(bare), None), 2),
        ("deadline, measured", Subject::new(measured.layer(bare), far), 1),
        ("refuse expired", Subject::new(RefuseExpiredLayer::default().layer(bare), far), 1),
        ("timeout", Subject::new(timeout.layer(bare), far), 1),
        ("retry, with a deadline", Subject::new(retry_layer().layer(bare), far), 1),
    ]
}
