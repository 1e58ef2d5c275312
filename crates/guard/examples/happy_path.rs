//! What each guard adds to a call that succeeds, in nanoseconds, at one thread and at two that share it:
//! `cargo run --release -p steadfast-guard --example happy_path`.

#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use steadfast_base::{Budget, Class, Classify, ContextMut, Deadline, Seed, TraceContext};
use steadfast_guard::breaker::{SlowCalls, Window};
use steadfast_guard::stack::{
    BudgetPolicy, DeadlineSettings, OutgoingSettings, RateLimitSettings, RetrySettings, Stack,
};
use steadfast_guard::{
    Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Error, Quota, RateLimitLayer, RateLimitPolicy,
    RateLimiter, RefuseExpiredLayer, RetryLayer, RetryPolicy, TimeoutLayer,
};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceBuilder};

/// How many calls one sample is, and of how many samples the best counts.
const CALLS: u32 = 300_000;
const SAMPLES: u32 = 15;

/// A request that is nothing but its deadline.
#[derive(Clone)]
struct Call(Option<Deadline>);

impl steadfast_base::Context for Call {
    fn deadline(&self) -> Option<Deadline> {
        self.0
    }
    fn trace(&self) -> Option<TraceContext> {
        None
    }
    fn key(&self) -> Option<&str> {
        None
    }
    fn operation(&self) -> &str {
        "call"
    }
}

impl ContextMut for Call {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.0 = Some(deadline);
    }
}

#[derive(Clone, Copy)]
struct Done(u64);

impl Classify for Done {
    fn classify(&self) -> Class {
        Class::Success
    }
}

/// A service that answers when it is polled first, or the second time.
#[derive(Clone)]
struct Bare {
    yields: bool,
}

struct Answer {
    yields: bool,
}

impl Future for Answer {
    type Output = Result<Done, Error<Infallible>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(Done(7)))
    }
}

impl Service<Call> for Bare {
    type Response = Done;
    type Error = Error<Infallible>;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answer {
        black_box(&call);
        Answer { yields: self.yields }
    }
}

trait Callable: Service<Call, Response = Done, Error = Error<Infallible>> + Clone + Send {}
impl<S: Service<Call, Response = Done, Error = Error<Infallible>> + Clone + Send> Callable for S {}

/// Returns how long a call takes on average.
fn sample(service: &mut impl Callable, deadline: Option<Deadline>) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for _ in 0..CALLS {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(Call(black_box(deadline))));
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
                black_box(done.map_or(0, |done| done.0));
                break;
            }
        }
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// Returns the best sample of `threads` that call clones of one service.
fn best(runtime: &Runtime, service: &impl Callable, threads: usize, deadline: Option<Deadline>) -> f64 {
    let run = |_| {
        let barrier = Barrier::new(threads);
        let sum: f64 = std::thread::scope(|scope| {
            let spawn = |_| {
                let (mut service, barrier) = (service.clone(), &barrier);
                scope.spawn(move || {
                    let _entered = runtime.enter();
                    barrier.wait();
                    sample(&mut service, deadline)
                })
            };
            let handles: Vec<_> = (0..threads).map(spawn).collect();
            handles.into_iter().map(|handle| handle.join().expect("no panic")).sum()
        });
        sum / threads as f64
    };
    (0..SAMPLES).map(run).fold(f64::MAX, f64::min)
}

/// What the guards are compared with.
struct Bench {
    runtime: Runtime,
    bare: Bare,
    /// What the bare service takes at one thread and at two.
    base: [f64; 2],
}

impl Bench {
    fn new(yields: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, bare) = (runtime.expect("a runtime"), Bare { yields });
        let base = [1, 2].map(|threads| best(&runtime, &bare, threads, None));
        Self { runtime, bare, base }
    }

    fn show<L>(&self, name: &str, layer: &L, deadline: Option<Deadline>)
    where
        L: Layer<Bare, Service: Callable>,
    {
        let service = layer.layer(self.bare.clone());
        let one = best(&self.runtime, &service, 1, deadline) - self.base[0];
        let two = best(&self.runtime, &service, 2, deadline) - self.base[1];
        println!("  {name:<32} {one:>7.1} {two:>8.1}");
    }
}

fn main() {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(tokio::time::Instant::now());
    }
    println!("one reading of the clock: {:.1} ns", start.elapsed().as_nanos() as f64 / f64::from(CALLS));
    let far = Some(Deadline::within(Duration::from_secs(3600)));
    let breaker = |policy| BreakerLayer::new(Breaker::new("payment", policy));
    let by_time =
        || BreakerPolicy { window: Window::Time(Duration::from_secs(10)), ..BreakerPolicy::default() };
    let slow_calls = Some(SlowCalls { longer_than: Duration::from_secs(1), ratio: 0.5 });
    let retry = || {
        let budget = Arc::new(Budget::default());
        // Full, as it is after a thousand calls.
        (0..2000).for_each(|_| budget.deposit());
        RetryLayer::new(RetryPolicy::default(), budget, Seed::new(1))
    };
    let (plenty, second) = (Quota::new(u32::MAX, Duration::from_secs(1)), Duration::from_secs(1));
    for yields in [false, true] {
        let bench = Bench::new(yields);
        let when = if yields { "when it is polled again" } else { "at once" };
        println!("{:<34} 1 thread 2 threads", format!("the service answers {when}"));
        bench.show("breaker", &breaker(BreakerPolicy::default()), None);
        bench.show("breaker, window of time", &breaker(by_time()), None);
        bench.show("breaker, slow calls", &breaker(BreakerPolicy { slow_calls, ..by_time() }), None);
        bench.show("deadline", &DeadlineLayer::default(), far);
        bench.show("deadline, measured", &DeadlineLayer::measured(Duration::from_secs(3)), far);
        bench.show("refuse expired", &RefuseExpiredLayer::default(), far);
        bench.show("timeout", &TimeoutLayer::new(Duration::from_secs(1)), far);
        bench.show("retry", &retry(), None);
        bench.show("retry, with a deadline", &retry(), far);
        let limiter = || RateLimitLayer::new(RateLimiter::new(plenty));
        bench.show("rate limit", &limiter(), far);
        let five = ServiceBuilder::new()
            .layer(DeadlineLayer::default())
            .layer(retry())
            .layer(limiter())
            .layer(breaker(BreakerPolicy::default()))
            .layer(TimeoutLayer::new(second));
        bench.show("five by hand", &five, far);
        let five = Stack::outgoing("payment")
            .deadline(DeadlineSettings::default())
            .retry(RetryPolicy::default(), BudgetPolicy::default())
            .rate_limit(plenty, RateLimitPolicy::default())
            .breaker(BreakerPolicy::default())
            .timeout(second)
            .build();
        bench.show("a stack of the five", &five.expect("it can be"), far);
        let settings = OutgoingSettings {
            deadline: Some(DeadlineSettings::default()),
            retry: Some(RetrySettings::default()),
            rate_limit: Some(RateLimitSettings { quota: plenty, policy: RateLimitPolicy::default() }),
            breaker: Some(BreakerPolicy::default()),
            timeout: Some(second),
            ..OutgoingSettings::default()
        };
        let all = Stack::outgoing("payment").configured(&settings).expect("it can be");
        bench.show("a stack of all, the five on", &all, far);
        all.apply(&OutgoingSettings::default()).expect("it can be");
        bench.show("a stack of all, none on", &all, far);
    }
}
