//! The peers, each set so that a call costs it least: no listeners, no budget, the cheapest of its policies.

use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use failsafe::futures::CircuitBreaker as _;
use futures::future::Either;
use governor::clock::QuantaUpkeepClock;
use steadfast_guard::testing::bare::{Bare, Call};
use steadfast_guard::{Error, Rejection};
use tower::retry::Policy;
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_resilience::circuitbreaker::CircuitBreakerLayer;
use tower_resilience::ratelimiter::RateLimiterLayer;
use tower_resilience::retry::RetryLayer;
use tower_resilience::timelimiter::TimeLimiterLayer;

use super::FAR;
use super::round::Subject;

/// A quota that no loop of calls reaches, in permits per second.
pub(super) const QUOTA: u32 = 1_000_000_000;

type Peers = Vec<(&'static str, Subject)>;

const TOWER_RESILIENCE: &str = "tower-resilience 0.13.0";

/// Breakers. The one of failsafe and the one of tower-resilience trip by consecutive failures, which costs a success
/// less than a ratio; recloser has a ratio only.
pub(super) fn breakers(mut bare: Bare) -> anyhow::Result<Peers> {
    let backoff = failsafe::backoff::constant(Duration::from_secs(1));
    let policy = failsafe::failure_policy::consecutive_failures(5, backoff);
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    let failsafe = service_fn(move |call| breaker.call(bare.call(call)));
    let breaker = recloser::AsyncRecloser::from(recloser::Recloser::default());
    let recloser = service_fn(move |call| breaker.call(bare.call(call)));
    Ok(vec![
        ("failsafe 1.3.0", Subject::new(failsafe, None)),
        ("recloser 1.4.0", Subject::new(recloser, None)),
        (
            TOWER_RESILIENCE,
            Subject::new(CircuitBreakerLayer::builder().consecutive_failures(5).build()?.layer(bare), None),
        ),
    ])
}

/// Limiters. The one of governor is no layer; it is asked before the call. Its clock is its default, which reads the
/// processor's counter, or one that a thread of its own renews each millisecond.
pub(super) fn limiters(mut bare: Bare) -> anyhow::Result<Peers> {
    let quota = governor::Quota::per_second(NonZeroU32::new(QUOTA).unwrap_or(NonZeroU32::MAX));
    let limiter = Arc::new(governor::RateLimiter::direct(quota));
    let refused = || Either::Right(ready(Err(Error::Rejected(Rejection::DeadlineExceeded))));
    let by_counter = service_fn(move |call| match limiter.check() {
        Ok(()) => Either::Left(bare.call(call)),
        Err(_) => refused(),
    });
    let clock = QuantaUpkeepClock::from_interval(Duration::from_millis(1))?;
    let limiter = Arc::new(governor::RateLimiter::direct_with_clock(quota, clock));
    let by_thread = service_fn(move |call| match limiter.check() {
        Ok(()) => Either::Left(bare.call(call)),
        Err(_) => refused(),
    });
    Ok(vec![
        ("governor 0.10.4", Subject::new(by_counter, None)),
        ("governor 0.10.4, clock thread", Subject::new(by_thread, None)),
        (TOWER_RESILIENCE, Subject::new(rate_limiter()?.layer(bare), None)),
    ])
}

/// A limiter that is told the time, and so reads no clock.
pub(super) fn limiter_told_the_time(mut bare: Bare) -> Peers {
    let quota = governor::Quota::per_second(NonZeroU32::new(QUOTA).unwrap_or(NonZeroU32::MAX));
    let clock = governor::clock::FakeRelativeClock::default();
    let limiter = Arc::new(governor::RateLimiter::direct_with_clock(quota, clock));
    let service = service_fn(move |call| match limiter.check() {
        Ok(()) => Either::Left(bare.call(call)),
        Err(_) => Either::Right(ready(Err(Error::Rejected(Rejection::DeadlineExceeded)))),
    });
    vec![("governor 0.10.4", Subject::new(service, None))]
}

/// Bounds of time. None of them reads or sets the deadline of a request.
pub(super) fn timeouts(bare: Bare) -> Peers {
    let tower = tower::timeout::TimeoutLayer::new(FAR).layer(bare);
    vec![
        ("tower 0.5.3", Subject::new(tower, None)),
        (TOWER_RESILIENCE, Subject::new(time_limiter(FAR).layer(bare), None)),
    ]
}

/// Retries; the one of tower without a budget, and with tower's own.
pub(super) fn retries(bare: Bare) -> Peers {
    let tower = tower::retry::RetryLayer::new(Thrice { left: 2, budget: () }).layer(bare);
    let budget = Arc::new(TpsBudget::default());
    let with_budget = tower::retry::RetryLayer::new(Thrice { left: 2, budget }).layer(bare);
    let resilience = RetryLayer::builder().max_attempts(3).exponential_backoff(BACKOFF).build().layer(bare);
    vec![
        ("tower 0.5.3, no budget", Subject::new(tower, None)),
        ("tower 0.5.3, TpsBudget", Subject::new(with_budget, None)),
        ("tower-resilience, no budget", Subject::new(resilience, None)),
    ]
}

/// The five of tower-resilience, in the order of ours.
pub(super) fn stack(bare: Bare) -> anyhow::Result<(&'static str, Subject)> {
    let service = ServiceBuilder::new()
        .layer(time_limiter(FAR))
        .layer(RetryLayer::builder().max_attempts(3).exponential_backoff(BACKOFF).build())
        .layer(rate_limiter()?)
        .layer(CircuitBreakerLayer::builder().consecutive_failures(5).build()?)
        .layer(time_limiter(Duration::from_secs(1)))
        .service(bare);
    Ok((TOWER_RESILIENCE, Subject::new(service, None)))
}

const BACKOFF: Duration = Duration::from_millis(100);

fn rate_limiter() -> anyhow::Result<RateLimiterLayer> {
    let builder = RateLimiterLayer::builder().limit_for_period(QUOTA as usize);
    Ok(builder.refresh_period(Duration::from_secs(1)).timeout_duration(Duration::ZERO).build()?)
}

fn time_limiter(after: Duration) -> TimeLimiterLayer<tower_resilience::timelimiter::FixedTimeout> {
    TimeLimiterLayer::builder().timeout_duration(after).build()
}

/// A policy of tower's that repeats what fails, at most twice.
#[derive(Debug, Clone)]
struct Thrice<B> {
    left: u32,
    budget: B,
}

impl<R, E> Policy<Call, R, E> for Thrice<()> {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Call, result: &mut Result<R, E>) -> Option<Ready<()>> {
        if result.is_ok() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

impl<R, E> Policy<Call, R, E> for Thrice<Arc<TpsBudget>> {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Call, result: &mut Result<R, E>) -> Option<Ready<()>> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}
