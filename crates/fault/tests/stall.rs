//! A stall holds all workers of the runtime, is seen by what runs there, and does not reach the control endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use steadfast_base::units::HumanDuration;
use steadfast_fault::control::Client;
use steadfast_fault::{Fault, Injector, LeaseId, LeaseState, RuntimeFault};
use tokio::runtime::{Builder, Handle, Runtime};

const SECOND: Duration = Duration::from_secs(1);

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime")
}

fn stall(stall_ms: u64, every_ms: u64) -> Fault {
    let [stall, every] = [stall_ms, every_ms].map(|ms| HumanDuration(Duration::from_millis(ms)));
    Fault::Runtime(RuntimeFault { stall, every })
}

fn id(text: &str) -> LeaseId {
    text.parse().expect("an id")
}

/// Runs `tasks` heartbeats of 1 ms until told to stop; each returns its longest gap.
struct Heartbeats {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Duration>>,
}

impl Heartbeats {
    fn start(runtime: &Handle, tasks: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let beat = |stop: Arc<AtomicBool>| async move {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            longest
        };
        let tasks = (0..tasks).map(|_| runtime.spawn(beat(stop.clone()))).collect();
        Self { stop, tasks }
    }

    async fn finish(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let mut gaps = Vec::new();
        for task in self.tasks {
            gaps.push(task.await.expect("a heartbeat"));
        }
        gaps
    }
}

/// Waits in this thread until `condition` holds.
fn await_condition(what: &str, condition: impl Fn() -> bool) {
    let patience = Instant::now() + 5 * SECOND;
    while !condition() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn every_worker_is_held_for_the_whole_stall() {
    for workers in [1, 2, 5] {
        let runtime = runtime(workers);
        let injector = runtime.block_on(async { Injector::detached() });
        let heartbeats = Heartbeats::start(runtime.handle(), 4 * workers);
        let stalls = || injector.leases()[0].dose.stalls;
        injector.inject(&id("stall"), stall(80, 120), 10 * SECOND, None).expect("a lease");
        await_condition("three stalls", || stalls() >= 3);
        let dose = injector.revoke(&id("stall")).expect("a lease").dose;
        let gaps = runtime.block_on(heartbeats.finish());
        assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(80)), "{workers}: {gaps:?}");
        assert_eq!(dose.stalled_ms_by_worker.len(), workers, "{dose:?}");
        assert!(dose.stalled_ms_by_worker.iter().all(|held| *held >= 3 * 80), "{dose:?}");
        assert!(dose.stalled_ms >= 3 * 80, "{dose:?}");
        drop(injector);
    }
}

#[test]
fn a_current_thread_runtime_is_stalled_too() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let injector = Injector::detached();
        let heartbeats = Heartbeats::start(&Handle::current(), 1);
        injector.inject(&id("stall"), stall(60, 100), SECOND, None).expect("a lease");
        let began = Instant::now();
        while injector.leases()[0].dose.stalls < 2 {
            assert!(began.elapsed() < 5 * SECOND, "two stalls");
            tokio::task::yield_now().await;
        }
        assert!(heartbeats.finish().await[0] >= Duration::from_millis(60));
    });
}

#[test]
fn the_control_endpoint_answers_during_a_stall_and_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fault.sock");
    let runtime = runtime(2);
    let injector = runtime.block_on(async { Injector::listen(&path).expect("an injector") });
    let client = Client::new(&path);
    client.inject(&id("stall"), &stall(5_000, 6_000), 10 * SECOND, None).expect("a lease");
    // A task that gets no answer shows that the runtime is held.
    let held = || {
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.spawn(async move { sender.send(()) });
        receiver.recv_timeout(Duration::from_millis(100)).is_err()
    };
    await_condition("a stall", held);
    let asked = Instant::now();
    assert_eq!(client.list().expect("a list")[0].state, LeaseState::Active);
    assert_eq!(client.renew(&id("stall"), 9 * SECOND).expect("a lease").state, LeaseState::Active);
    let lease = client.revoke(&id("stall")).expect("a lease");
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    assert_eq!(lease.state, LeaseState::Revoked);
    await_condition("the runtime goes on", || !held());
    assert!(asked.elapsed() < 2 * SECOND, "{:?}", asked.elapsed());
    drop(injector);
    assert!(!path.exists());
}

#[test]
fn a_lease_that_expires_amid_a_stall_ends_it() {
    let runtime = runtime(2);
    let injector = runtime.block_on(async { Injector::detached() });
    let heartbeats = Heartbeats::start(runtime.handle(), 4);
    let started = Instant::now();
    injector.inject(&id("stall"), stall(8_000, 9_000), Duration::from_millis(150), None).expect("a lease");
    await_condition("expiry", || injector.leases()[0].state == LeaseState::Expired);
    let gaps = runtime.block_on(heartbeats.finish());
    assert!(started.elapsed() < 3 * SECOND);
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(100)), "{gaps:?}");
    let dose = &injector.leases()[0].dose;
    assert_eq!(dose.stalls, 1, "{dose:?}");
    assert!((100..=250).contains(&dose.stalled_ms), "{dose:?}");
}

#[test]
fn a_worker_that_never_arrives_does_not_hold_the_others_for_ever() {
    let runtime = runtime(2);
    let injector = runtime.block_on(async { Injector::detached() });
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let (arrived, is_blocked) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        arrived.send(()).expect("the test waits");
        // Released by dropping the sender.
        let _ended = blocked.recv();
    });
    is_blocked.recv_timeout(5 * SECOND).expect("a worker is blocked");
    injector.inject(&id("stall"), stall(40, 60), 10 * SECOND, None).expect("a lease");
    await_condition("two missed stalls", || injector.leases()[0].dose.stalls_missed >= 2);
    assert_eq!(injector.leases()[0].dose.stalls, 0);
    drop(release);
    await_condition("a full stall", || injector.leases()[0].dose.stalls >= 1);
}

#[test]
fn dropping_the_injector_releases_a_runtime_that_was_shut_down() {
    let runtime = runtime(2);
    let injector = runtime.block_on(async { Injector::detached() });
    injector.inject(&id("stall"), stall(50, 100), 60 * SECOND, None).expect("a lease");
    await_condition("a stall", || injector.leases()[0].dose.stalls >= 1);
    runtime.shutdown_background();
    let started = Instant::now();
    drop(injector);
    assert!(started.elapsed() < SECOND);
}

#[test]
fn a_saturated_runtime_is_stalled_too() {
    for workers in [2, 4] {
        let runtime = runtime(workers);
        let injector = runtime.block_on(async { Injector::detached() });
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..50 * workers {
            let stop = stop.clone();
            // Some tasks are always ready to run, others wake each other by way of the runtime's queues.
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                    let _joined = tokio::spawn(tokio::task::yield_now()).await;
                }
            });
        }
        injector.inject(&id("stall"), stall(20, 40), 10 * SECOND, None).expect("a lease");
        await_condition("ten stalls", || injector.leases()[0].dose.stalls >= 10);
        let dose = injector.revoke(&id("stall")).expect("a lease").dose;
        stop.store(true, Ordering::Relaxed);
        eprintln!("{workers}: {dose:?}");
        assert!(dose.stalls_missed <= 1, "{dose:?}");
    }
}
