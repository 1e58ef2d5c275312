//! Connections to PostgreSQL that are cut, frozen and slowed are found before callers meet them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::pool_health::{PostgresPool, pool};
use steadfast_guard::pool_health::{Health, PoolHealthPolicy, Probe};
use tokio_util::task::AbortOnDropHandle;

use super::support::{config, hold_server};
use crate::disturber::{Disturber, Mode};
use crate::supervised::{failures, found, supervise};

const SIZE: usize = 6;
const INTERVAL: Duration = Duration::from_millis(100);
const POLICY: fn() -> PoolHealthPolicy =
    || PoolHealthPolicy { interval: INTERVAL, ..PoolHealthPolicy::default() };
/// What the rules of the guard allow for six connections: three rounds, each with its checks and a new connection. The
/// last second is for a machine that has much to do.
const FOUND_WITHIN: Duration = Duration::from_millis(3 * (120 + 200 + 200) + 1000);

/// A pool whose connections are open and idle, behind what disturbs them.
struct Bench {
    disturber: Disturber,
    pool: PostgresPool,
    _server: std::sync::Arc<steadfast_servers::Postgres>,
}

impl Bench {
    async fn new() -> Self {
        let server = hold_server().await;
        let disturber = Disturber::start(server.address()).await;
        let config = Config { port: disturber.address().port(), ..config(&server, "postgres") };
        let pool = pool(&config, SIZE).expect("it is right");
        let mut all = Vec::new();
        for _ in 0..SIZE {
            all.push(pool.get().await.expect("it connects"));
        }
        drop(all);
        assert_eq!(disturber.accepted(), SIZE);
        Self { disturber, pool, _server: server }
    }

    fn supervise(&self) -> (Probe, AbortOnDropHandle<()>) {
        supervise(self.pool.clone(), POLICY())
    }

    /// Asks so often as a caller; says how often no answer came in good time.
    async fn failures(&self, calls: usize) -> usize {
        let ask = async || {
            let Ok(client) = self.pool.get().await else { return false };
            client.simple_query("SELECT 2").await.is_ok()
        };
        failures(calls, ask).await
    }
}

#[tokio::test]
async fn frozen_connections_are_evicted_before_callers_meet_them() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change(3, Mode::Frozen);
    let took = found(&probe, |snapshot| snapshot.evicted == 3).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    assert_eq!(bench.failures(30).await, 0);
    let snapshot = probe.snapshot();
    assert_eq!((snapshot.evicted, snapshot.broken), (3, 0), "the others were left alone: {snapshot:?}");
}

#[tokio::test]
async fn without_a_supervisor_callers_meet_each_of_them() {
    let bench = Bench::new().await;
    bench.disturber.change(3, Mode::Frozen);
    assert_eq!(bench.failures(SIZE).await, 3);
}

#[tokio::test]
async fn connections_that_were_cut_are_gone_after_a_few_rounds() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.cut();
    let took = found(&probe, |snapshot| snapshot.size == 0 && snapshot.evicted >= SIZE as u64).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    assert_eq!(bench.failures(30).await, 0);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
}

#[tokio::test]
async fn all_frozen_with_a_server_that_is_well_are_evicted_all() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change(SIZE, Mode::Frozen);
    let took = found(&probe, |snapshot| snapshot.evicted == SIZE as u64).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    let snapshot = probe.snapshot();
    assert!(snapshot.opened >= 1 && snapshot.opened_failed == 0 && snapshot.kept == 0, "{snapshot:?}");
    assert_eq!(bench.failures(30).await, 0);
}

#[tokio::test]
async fn a_slow_server_is_unhealthy_and_keeps_its_connections() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    // 300 ms for an answer.
    bench.disturber.change_all(Mode::Slow(Duration::from_millis(150)));
    found(&probe, |snapshot| snapshot.rounds >= 3 && snapshot.health == Health::Unhealthy).await;
    let snapshot = probe.snapshot();
    assert!(snapshot.slow >= 3 && snapshot.stale >= snapshot.slow, "{snapshot:?}");
    assert!(snapshot.evicted <= snapshot.rounds && snapshot.kept > 0, "{snapshot:?}");
    assert!(snapshot.size >= SIZE as u64 - snapshot.rounds, "{snapshot:?}");
    // Nobody but the supervisor opens connections here: one in a round.
    let opened = bench.disturber.accepted() - SIZE;
    assert!(opened <= probe.snapshot().rounds as usize + 1, "{opened} {snapshot:?}");

    bench.disturber.change_all(Mode::Pass);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
    assert_eq!(bench.failures(30).await, 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_once_in_a_round_and_found_again() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change_all(Mode::Frozen);
    bench.disturber.cut();
    found(&probe, |snapshot| snapshot.health == Health::Unhealthy && snapshot.opened_failed >= 2).await;
    let opened = bench.disturber.accepted() - SIZE;
    assert!(opened <= probe.snapshot().rounds as usize + 1, "{opened}");
    bench.disturber.change_all(Mode::Pass);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
    assert_eq!(bench.failures(30).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_under_load_do_not_fail_for_it() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    let stop = AtomicBool::new(false);
    let caller = async || {
        let mut calls = 0;
        while !stop.load(Ordering::Relaxed) {
            let client = bench.pool.get().await.expect("there is one");
            client.simple_query("SELECT 3").await.expect("it answers");
            calls += 1;
        }
        calls
    };
    let load = futures::future::join_all((0..2 * SIZE).map(|_| caller()));
    let watch = async {
        found(&probe, |snapshot| snapshot.rounds >= 10).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(load, watch);
    let calls: u64 = calls.into_iter().sum();
    let snapshot = probe.snapshot();
    assert!(snapshot.evicted == 0 && snapshot.yielded > 0, "{calls} {snapshot:?}");
    assert_eq!(snapshot.wait_times.count, calls + SIZE as u64);
    assert!(snapshot.wait_times.p99_us > 0 && snapshot.wait_times.max_us >= snapshot.wait_times.p99_us);
}
