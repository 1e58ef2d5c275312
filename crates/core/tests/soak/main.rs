//! A soak: the bus, delivery and a transport at full rate, in trouble all the time.
//!
//! Handlers fail, panic, hang and are dropped, consumers come and go, connections are cut, dead letters are replayed
//! without end. All the while memory must stay flat; in the end each message must be accounted for, in order where
//! order is promised, and no task be left.
//!
//! It takes four seconds, or with `STEADFAST_FULL=1` five minutes. `STEADFAST_SEED=N` repeats what is drawn: the
//! messages, the trouble, the comings and goings. How threads interleave is not drawn and differs from run to run.

mod batches;
mod keyed;
mod lanes;
mod lossy;
mod memory;
mod relay;
mod total;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use steadfast_base::{Deadline, Seed};
use steadfast_core::bus::Bus;
use tokio_util::sync::CancellationToken;

use crate::memory::Memory;

/// How long the end may take, on a machine that has other work.
const END_MAX: Duration = Duration::from_secs(60);

/// What all parts of the soak share.
#[derive(Clone)]
struct Soak {
    bus: Arc<Bus>,
    seed: Seed,
    /// Publishers stop.
    stop: CancellationToken,
    /// There is no more trouble.
    calm: Arc<AtomicBool>,
    /// What was seen that must not be: a panic in a handler would be one more failed attempt.
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Soak {
    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    fn assert(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let mut wrong = self.wrong.lock();
            // The first few tell enough.
            if wrong.len() < 10 {
                wrong.push(what());
            }
        }
    }
}

/// A count that many add to.
#[derive(Debug, Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn memory_stays_flat_and_every_message_is_accounted_for() {
    let full = std::env::var_os("STEADFAST_FULL").is_some();
    let seed = std::env::var("STEADFAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: Seed = seed.unwrap_or_else(Seed::random);
    eprintln!("STEADFAST_SEED={seed}");
    trouble::silence_panics();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be had");
    let (length, sample_every) = if full {
        (Duration::from_secs(300), Duration::from_secs(1))
    } else {
        (Duration::from_secs(4), Duration::from_millis(100))
    };
    runtime.block_on(soak(seed, length, sample_every));
}

async fn soak(seed: Seed, length: Duration, sample_every: Duration) {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (tasks_before, live_before) = (tasks(), memory::live());
    let soak = Soak {
        bus: Arc::new(Bus::new()),
        seed,
        stop: CancellationToken::new(),
        calm: Arc::default(),
        wrong: Arc::default(),
    };
    let total = total::Total::start(&soak);
    let mut keyed = keyed::Keyed::start(&soak);
    let lanes = lanes::Lanes::start(&soak);
    let lossy = lossy::Lossy::start(&soak);
    let batches = batches::Batches::start(&soak);
    let relay = relay::Relay::start(&soak);

    let started = Instant::now();
    let mut memory = Memory::default();
    let mut ticks = tokio::time::interval(sample_every);
    while started.elapsed() < length && soak.wrong.lock().is_empty() {
        ticks.tick().await;
        memory.sample();
    }
    let took = started.elapsed();

    soak.stop.cancel();
    let end = async {
        relay.end(&soak, took).await;
        keyed.replayed(&soak).await;
        let drained = soak.bus.close(Deadline::within(END_MAX)).await;
        soak.assert(drained.abandoned == 0, || format!("{drained:?}"));
        total.end(&soak, took).await;
        keyed.end(&soak, took).await;
        lanes.end(&soak, took).await;
        lossy.end(&soak, took).await;
        batches.end(&soak, took).await;
    };
    let ended = tokio::time::timeout(END_MAX, end).await;
    let wrong = soak.wrong.lock().clone();
    assert!(wrong.is_empty(), "{wrong:#?}\nSTEADFAST_SEED={seed}");
    assert!(ended.is_ok(), "the end takes more than {END_MAX:?}; STEADFAST_SEED={seed}");
    drop(soak);

    // A task that was aborted is gone a moment later.
    let gone = async {
        while tasks() > tasks_before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(5), gone).await;
    assert!(gone.is_ok(), "{} tasks are left; STEADFAST_SEED={seed}", tasks() - tasks_before);
    memory.assert_flat(seed);
    memory.assert_given_back(live_before, seed);
}
