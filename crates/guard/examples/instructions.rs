//! Makes calls through one guard, for `cargo xtask instructions` to count what they execute:
//! `instructions NAME CALLS`; without arguments it prints the names.

#![allow(clippy::print_stdout, reason = "the names are the output")]

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_base::{Budget, Deadline, Seed};
use steadfast_guard::breaker::{SlowCalls, Window};
use steadfast_guard::testing::bare::{Bare, Call, Done};
use steadfast_guard::{
    Breaker, BreakerLayer, BreakerPolicy, Bulkhead, BulkheadLayer, BulkheadPolicy, DeadlineLayer, Error,
    FallbackLayer, Hedge, HedgeLayer, HedgePolicy, Quota, RateLimitLayer, RateLimiter, RefuseExpiredLayer,
    RetryLayer, RetryPolicy, Shed, ShedLayer, ShedPolicy, TimeoutLayer,
};
use tower::{Layer, Service, ServiceBuilder};

const SECOND: Duration = Duration::from_secs(1);

/// A way to make so many calls.
type Run = fn(u32);

/// Each guard by its name; the service of what ends in "yields" answers the second time it is polled.
const RUNS: &[(&str, Run)] = &[
    ("nothing", |calls| run(ready(), None, calls)),
    ("nothing, yields", |calls| run(yields(), None, calls)),
    ("deadline", |calls| run(DeadlineLayer::default().layer(ready()), far(), calls)),
    ("deadline, yields", |calls| run(DeadlineLayer::default().layer(yields()), far(), calls)),
    ("deadline, measured", |calls| run(DeadlineLayer::measured(3 * SECOND).layer(ready()), far(), calls)),
    ("refuse expired", |calls| run(RefuseExpiredLayer::default().layer(ready()), far(), calls)),
    ("timeout", |calls| run(TimeoutLayer::new(SECOND).layer(ready()), far(), calls)),
    ("timeout, yields", |calls| run(TimeoutLayer::new(SECOND).layer(yields()), far(), calls)),
    ("retry", |calls| run(retry().layer(ready()), None, calls)),
    ("retry, with a deadline", |calls| run(retry().layer(ready()), far(), calls)),
    ("breaker", |calls| run(breaker(BreakerPolicy::default()).layer(ready()), None, calls)),
    ("breaker, window of time", |calls| run(breaker(by_time()).layer(ready()), None, calls)),
    ("breaker, slow calls", |calls| {
        let slow_calls = Some(SlowCalls { longer_than: SECOND, ratio: 0.5 });
        run(breaker(BreakerPolicy { slow_calls, ..by_time() }).layer(ready()), None, calls);
    }),
    ("rate limit", |calls| run(limit().layer(ready()), None, calls)),
    ("bulkhead", |calls| {
        let bulkhead = Bulkhead::new("counted", BulkheadPolicy::default());
        run(BulkheadLayer::new(bulkhead).layer(ready()), None, calls);
    }),
    ("shed", |calls| {
        let shed = Shed::new("counted", ShedPolicy::default(), Seed::new(1));
        run(ShedLayer::new(shed).layer(ready()), None, calls);
    }),
    ("hedge", |calls| {
        let hedge = Hedge::new("counted", HedgePolicy::default(), Arc::new(Budget::new(0.05, 0)));
        run(HedgeLayer::new(hedge).layer(ready()), None, calls);
    }),
    ("fallback", |calls| {
        let fallback = FallbackLayer::value(|_: &Result<Done, Error<Infallible>>| Some(Done));
        run(fallback.layer(ready()), None, calls);
    }),
    ("stack of five", |calls| run(stack(ready()), far(), calls)),
    ("stack of five, yields", |calls| run(stack(yields()), far(), calls)),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(calls)) = (arguments.next(), arguments.next()) else {
        RUNS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, run) = RUNS.iter().find(|(known, _)| *known == name).expect("a name printed without arguments");
    // One thread, for a second one would execute as it likes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    run(calls.parse().expect("a number of calls"));
}

fn ready() -> Bare {
    Bare { yields: false }
}

fn yields() -> Bare {
    Bare { yields: true }
}

fn far() -> Option<Deadline> {
    Some(Deadline::within(3600 * SECOND))
}

fn retry() -> RetryLayer {
    let budget = Arc::new(Budget::default());
    // Full, as it is after a thousand calls.
    (0..2000).for_each(|_| budget.deposit());
    RetryLayer::new(RetryPolicy::default(), budget, Seed::new(1))
}

fn breaker(policy: BreakerPolicy) -> BreakerLayer {
    BreakerLayer::new(Breaker::new("counted", policy))
}

fn by_time() -> BreakerPolicy {
    BreakerPolicy { window: Window::Time(10 * SECOND), ..BreakerPolicy::default() }
}

fn limit() -> RateLimitLayer<RateLimiter> {
    RateLimitLayer::new(RateLimiter::new(Quota::per_second(1_000_000_000)))
}

fn stack(bare: Bare) -> impl Service<Call, Response = Done> {
    ServiceBuilder::new()
        .layer(DeadlineLayer::default())
        .layer(retry())
        .layer(limit())
        .layer(breaker(BreakerPolicy::default()))
        .layer(TimeoutLayer::new(SECOND))
        .service(bare)
}

fn run(mut service: impl Service<Call, Response = Done>, deadline: Option<Deadline>, calls: u32) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..calls {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(Call(black_box(deadline))));
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
                assert!(done.is_ok());
                break;
            }
        }
    }
}
