//! Whatever is called, dropped and changed in whichever order, no permit and no call is lost.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{Backoff, Priority, Seed};
use steadfast_guard::breaker::{BreakerPolicy, SlowCalls, Window};
use steadfast_guard::deadline::RefuseExpiredPolicy;
use steadfast_guard::rate_limit::{Key, Quota, RateLimitPolicy};
use steadfast_guard::stack::{
    BudgetPolicy, DeadlineSettings, HedgeSettings, IncomingSettings, KeyedRateLimitSettings,
    OutgoingSettings, RateLimitSettings, RetrySettings, Stack, StackSettings,
};
use steadfast_guard::testing::{Failure, PERMANENT, TRANSIENT};
use steadfast_guard::{
    BulkheadPolicy, Error, FallbackLayer, HedgePolicy, RetryPolicy, ServerDeadlineLayer, ShedPolicy,
};
use tokio::sync::oneshot;
use tower::{Layer, Service, service_fn};

type Request = http::Request<()>;
type Answer = Result<http::Response<()>, Error<Failure>>;
type Call = Pin<Box<dyn Future<Output = Answer>>>;

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone)]
enum Step<T> {
    Call(Priority),
    Answer(prop::sample::Index, u8),
    Drop(prop::sample::Index),
    Advance(u64),
    Apply(Box<T>),
}

fn outgoing() -> impl Strategy<Value = OutgoingSettings> {
    let on = prop::array::uniform8(prop::bool::weighted(0.8));
    (on, 1..6_u32, 0..6_usize, 1..4_u32, 1..40_u32, 1..30_u32).prop_map(
        |(on, concurrency_max, queue_max, attempts_max, ms, calls)| {
            let [deadline, hedge, retry, rate_limit, bulkhead, shed, breaker, timeout] = on;
            let window = if calls % 2 == 0 {
                Window::Calls(calls)
            } else {
                Window::Time(Duration::from_millis(u64::from(calls)))
            };
            let slow_calls = (calls % 3 == 0).then_some(SlowCalls { longer_than: ms * MS, ratio: 0.5 });
            let wait_max = ms * MS;
            OutgoingSettings {
                fallback: false,
                deadline: deadline
                    .then_some(DeadlineSettings { default: 100 * MS, overhead: (ms > 20).then_some(MS) }),
                hedge: (deadline && hedge).then_some(HedgeSettings {
                    policy: HedgePolicy { samples_min: 1, ..HedgePolicy::default() },
                    budget: BudgetPolicy { share: 1.0, per_second: 0 },
                }),
                retry: (deadline && retry).then_some(RetrySettings {
                    policy: RetryPolicy {
                        attempts_max,
                        attempt_timeout: Some(80 * MS),
                        backoff: Backoff { initial: MS, max: ms * MS, ..Backoff::default() },
                        ..RetryPolicy::default()
                    },
                    budget: BudgetPolicy::default(),
                }),
                rate_limit: rate_limit.then_some(RateLimitSettings {
                    quota: Quota::per_second(100 * attempts_max).with_burst(concurrency_max),
                    policy: RateLimitPolicy { wait_max },
                }),
                bulkhead: bulkhead.then_some(BulkheadPolicy {
                    concurrency_max,
                    queue_max,
                    wait_max,
                    newest_first_after: MS,
                }),
                shed: shed.then_some(ShedPolicy {
                    limit_initial: 1,
                    limit_min: 1,
                    limit_max: concurrency_max,
                    queue_max,
                    wait_max,
                    ..ShedPolicy::default()
                }),
                breaker: breaker.then_some(BreakerPolicy {
                    window,
                    calls_min: 1,
                    slow_calls,
                    open_for: ms * MS,
                    probes: attempts_max,
                    ..BreakerPolicy::default()
                }),
                timeout: timeout.then_some(90 * MS),
            }
        },
    )
}

fn incoming() -> impl Strategy<Value = IncomingSettings> {
    let on = prop::array::uniform4(prop::bool::weighted(0.8));
    (on, 1..4_u32, 1..40_u32, 1..40_usize, outgoing()).prop_map(|(on, burst, ms, keys_max, outgoing)| {
        let [deadline, keyed, fallback, refuse_expired] = on;
        let OutgoingSettings { rate_limit, bulkhead, shed, .. } = outgoing;
        IncomingSettings {
            server_timing: burst % 2 == 0,
            deadline: deadline.then_some(ServerDeadlineLayer { default: 100 * MS, max: 200 * MS }),
            keyed_rate_limit: keyed.then_some(KeyedRateLimitSettings {
                quota: Quota::per_second(20 * burst).with_burst(burst),
                policy: RateLimitPolicy { wait_max: (ms - 1) * MS },
                keys_max,
            }),
            fallback,
            rate_limit,
            bulkhead,
            shed,
            refuse_expired: (deadline && refuse_expired).then(RefuseExpiredPolicy::default),
        }
    })
}

fn step<T: std::fmt::Debug>(settings: impl Strategy<Value = T>) -> impl Strategy<Value = Step<T>> {
    prop_oneof![
        4 => prop::sample::select(Priority::ALL.to_vec()).prop_map(Step::Call),
        4 => (any::<prop::sample::Index>(), 0..4_u8).prop_map(|(which, answer)| Step::Answer(which, answer)),
        2 => any::<prop::sample::Index>().prop_map(Step::Drop),
        2 => (0..50_u64).prop_map(Step::Advance),
        2 => settings.prop_map(|settings| Step::Apply(Box::new(settings))),
    ]
}

/// What reached the callee and waits for an answer.
#[derive(Clone, Default)]
struct Callee(Arc<Mutex<Asked>>);

/// How many calls came, and which of them wait.
#[derive(Default)]
struct Asked {
    count: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
}

impl Callee {
    fn call(&self) -> impl Future<Output = Answer> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.lock();
        state.count += 1;
        let number = state.count;
        state.waiting.insert(number, sender);
        async move { receiver.await.expect("it is answered") }
    }

    fn answer(&self, which: Option<prop::sample::Index>, answer: u8) {
        let mut state = self.0.lock();
        // Those that were dropped are gone.
        state.waiting.retain(|_, sender| !sender.is_closed());
        let numbers: Vec<u64> = state.waiting.keys().copied().collect();
        let chosen = match which {
            Some(_) if numbers.is_empty() => vec![],
            Some(which) => vec![*which.get(&numbers)],
            None => numbers,
        };
        for number in chosen {
            let answer = match answer {
                0 => Err(TRANSIENT),
                1 => Err(PERMANENT),
                _ => Ok(http::Response::new(())),
            };
            let _ = state.waiting.remove(&number).map(|sender| sender.send(answer));
        }
    }
}

fn poll_all(calls: &mut Vec<Call>) {
    let mut cx = Context::from_waker(Waker::noop());
    calls.retain_mut(|call| call.as_mut().poll(&mut cx).is_pending());
}

/// The calls that hold something of the guards.
fn held<T, C>(stack: &Stack<T, C>) -> (u32, u32, usize, usize) {
    let bulkhead = stack.bulkhead().expect("it has a place").snapshot();
    let shed = stack.shed().expect("it has a place").snapshot();
    let breaker = stack.breaker().map_or(0, |breaker| breaker.in_flight());
    (bulkhead.in_flight, shed.in_flight, bulkhead.queued + shed.queued, breaker)
}

/// Settings of which a bulkhead is one.
trait Settings: StackSettings + Default {
    fn bulkhead(&mut self) -> &mut Option<BulkheadPolicy>;
}

impl Settings for OutgoingSettings {
    fn bulkhead(&mut self) -> &mut Option<BulkheadPolicy> {
        &mut self.bulkhead
    }
}

impl Settings for IncomingSettings {
    fn bulkhead(&mut self) -> &mut Option<BulkheadPolicy> {
        &mut self.bulkhead
    }
}

/// Does the steps to a stack with nothing set, of which `service` calls `callee`.
async fn run<T: Settings, C>(
    stack: Stack<T, C>,
    callee: Callee,
    mut service: impl Service<Request, Response = http::Response<()>, Error = Error<Failure>, Future: 'static>,
    steps: Vec<Step<T>>,
) -> Result<(), TestCaseError> {
    let mut calls: Vec<Call> = Vec::new();
    let mut applied = T::default();
    for step in steps {
        let before = held(&stack);
        match step {
            Step::Call(priority) => {
                let mut request = http::Request::new(());
                request.extensions_mut().insert(priority);
                let mut cx = Context::from_waker(Waker::noop());
                prop_assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
                calls.push(Box::pin(service.call(request)));
            }
            Step::Answer(which, answer) => callee.answer(Some(which), answer),
            Step::Drop(_) if calls.is_empty() => {}
            Step::Drop(which) => drop(calls.swap_remove(which.index(calls.len()))),
            Step::Advance(ms) => tokio::time::advance(Duration::from_millis(ms)).await,
            Step::Apply(settings) => {
                let changed = stack.apply(&settings);
                match changed {
                    Ok(()) => applied = *settings,
                    // Whole or not at all.
                    Err(_) => prop_assert!(stack.apply(&applied).is_ok()),
                }
            }
        }
        poll_all(&mut calls);
        let after = held(&stack);
        if let Some(policy) = *applied.bulkhead() {
            prop_assert!(after.0 <= before.0.max(policy.concurrency_max), "{before:?} {after:?}");
        }
    }
    // Whoever was not dropped gets an answer.
    for _ in 0..200 {
        callee.answer(None, 2);
        poll_all(&mut calls);
        tokio::time::advance(20 * MS).await;
    }
    prop_assert!(calls.is_empty(), "{} calls are lost: {stack}", calls.len());
    prop_assert_eq!(held(&stack), (0, 0, 0, 0), "{}", stack);
    // All the room is there.
    if let Some(breaker) = stack.breaker() {
        breaker.close();
    }
    let mut settings = T::default();
    *settings.bulkhead() =
        Some(BulkheadPolicy { concurrency_max: 3, queue_max: 0, ..BulkheadPolicy::default() });
    prop_assert!(stack.apply(&settings).is_ok());
    calls.extend((0..4).map(|_| -> Call { Box::pin(service.call(http::Request::new(()))) }));
    poll_all(&mut calls);
    prop_assert_eq!(calls.len(), 3);
    Ok(())
}

fn block_on(future: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// Returns a callee, and the service that asks it.
fn callee() -> (
    Callee,
    impl Service<Request, Response = http::Response<()>, Error = Error<Failure>, Future: 'static> + Clone,
) {
    let callee = Callee::default();
    let inner = callee.clone();
    (callee, service_fn(move |_: Request| inner.call()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_permit_and_no_call_is_lost(steps in prop::collection::vec(step(outgoing()), 1..120)) {
        block_on(async {
            let stack = Stack::outgoing("test").seed(Seed::new(7)).configured(&OutgoingSettings::default());
            let stack = stack.expect("nothing is set");
            let (callee, inner) = callee();
            run(stack.clone(), callee, stack.layer(inner), steps).await
        })?;
    }

    #[test]
    fn no_permit_and_no_incoming_call_is_lost(steps in prop::collection::vec(step(incoming()), 1..120)) {
        block_on(async {
            let key = |request: &Request| Key::of(&request.extensions().get::<Priority>());
            let substitute = |failure: &Answer| {
                let is_known = failure.as_ref().is_err_and(|error| error.rejection().is_none());
                is_known.then(|| http::Response::new(()))
            };
            let stack = Stack::incoming("test")
                .seed(Seed::new(7))
                .keyed_rate_limit(key, KeyedRateLimitSettings::default())
                .fallback(FallbackLayer::value(substitute))
                .configured(&IncomingSettings::default())
                .expect("nothing is set");
            let (callee, inner) = callee();
            run(stack.clone(), callee, stack.layer(inner), steps).await
        })?;
    }
}
