//! One sample of one service, at one thread or at two that share it.

use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use steadfast_base::Deadline;
use steadfast_guard::testing::bare::{Call, Done};
use tokio::runtime::Runtime;
use tower::Service;

use crate::allocations;

/// How many calls one sample is: so many that two threads that call at once begin as good as together.
const CALLS: u32 = 100_000;

/// Makes calls, and returns the nanoseconds that each takes.
type Sample = Box<dyn FnOnce() -> f64 + Send>;

/// A service that can be sampled.
pub(super) struct Subject {
    /// Makes so many calls ready to be sampled, by a thread that is alone or not.
    run: Box<dyn Fn(u32, bool) -> Sample>,
}

impl Subject {
    /// Makes a subject of a service whose clones share what it guards by; its calls have `deadline`.
    pub(super) fn new<S>(service: S, deadline: Option<Deadline>) -> Self
    where
        S: Service<Call, Response = Done> + Clone + Send + 'static,
    {
        let run = move |calls, is_alone: bool| -> Sample {
            let mut service = service.clone();
            Box::new(move || {
                let signal = (!is_alone).then(Signal::new);
                call(&mut service, deadline, calls, signal.as_ref())
            })
        };
        Self { run: Box::new(run) }
    }

    /// Returns the nanoseconds that a call takes on average when `threads` call at once.
    pub(super) fn sample(&self, runtime: &Runtime, threads: usize) -> anyhow::Result<f64> {
        let barrier = Barrier::new(threads);
        let sum = std::thread::scope(|scope| {
            let spawn = |_| {
                let (run, barrier) = ((self.run)(CALLS, threads == 1), &barrier);
                scope.spawn(move || {
                    let _entered = runtime.enter();
                    barrier.wait();
                    run()
                })
            };
            let handles: Vec<_> = (0..threads).map(spawn).collect();
            let times: Option<Vec<f64>> = handles.into_iter().map(|handle| handle.join().ok()).collect();
            times.map(|times| times.iter().sum::<f64>())
        });
        Ok(sum.ok_or_else(|| anyhow::anyhow!("a thread that measured has panicked"))? / threads as f64)
    }

    /// Returns how many heap allocations a call makes on average, after the first few.
    pub(super) fn allocations(&self) -> f64 {
        const COUNTED: u32 = 1000;
        (self.run)(100, true)();
        let run = (self.run)(COUNTED, true);
        let counted = allocations::count(|| {
            run();
        });
        counted as f64 / f64::from(COUNTED)
    }
}

/// Wakes a thread that waits for what another one holds, as a runtime would; polling again and again instead would make
/// locks that two threads share look worse than they are.
struct Signal {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Signal {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: std::thread::current(), is_woken: AtomicBool::new(false) })
    }

    fn wait(&self) {
        while !self.is_woken.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        // A thread that wakes itself does not sleep.
        if std::thread::current().id() != self.thread.id() {
            self.thread.unpark();
        }
    }
}

/// Makes `calls` and returns the nanoseconds that each takes.
fn call<S>(service: &mut S, deadline: Option<Deadline>, calls: u32, signal: Option<&Arc<Signal>>) -> f64
where
    S: Service<Call, Response = Done>,
{
    let woken = signal.map(|signal| Waker::from(Arc::clone(signal)));
    let mut cx = Context::from_waker(woken.as_ref().unwrap_or(Waker::noop()));
    let start = Instant::now();
    for _ in 0..calls {
        assert!(service.poll_ready(&mut cx).is_ready(), "it has room");
        let mut future = pin!(service.call(Call(black_box(deadline))));
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
                assert!(done.is_ok(), "no guard refuses a call here");
                break;
            }
            if let Some(signal) = signal {
                signal.wait();
            }
        }
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// Returns the nanoseconds that reading the clock takes, as guards read it.
pub(super) fn clock() -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(tokio::time::Instant::now());
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// Returns the median of `values`, which are not empty.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
