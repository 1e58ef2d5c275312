//! Connections to Redis that are cut and frozen are found before callers meet them.

use std::time::Duration;

use steadfast_backends::redis::Config;
use steadfast_backends::redis::pool_health::{RedisPool, pool};
use steadfast_base::Seed;
use steadfast_guard::pool_health::{Health, PoolHealth, PoolHealthPolicy, Probe};
use steadfast_servers::Redis;
use tokio_util::task::AbortOnDropHandle;

use super::support::{config, started};
use crate::disturber::{Disturber, Mode};
use crate::supervised::{failures, found, supervise};

const SIZE: usize = 6;
const INTERVAL: Duration = Duration::from_millis(100);
/// Three rounds, each with its checks and a new connection, and a second for a machine that has much to do.
const FOUND_WITHIN: Duration = Duration::from_millis(3 * (120 + 200 + 200) + 1000);

fn often() -> PoolHealthPolicy {
    PoolHealthPolicy { interval: INTERVAL, ..PoolHealthPolicy::default() }
}

struct Bench {
    disturber: Disturber,
    pool: RedisPool,
    _server: Redis,
}

impl Bench {
    async fn new() -> Self {
        let server = started(&[("appendonly", "no")]).await;
        let disturber = Disturber::start(server.address()).await;
        let config = Config { address: disturber.address().to_string(), ..config(&server) };
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
        supervise(self.pool.clone(), often())
    }

    /// Asks often as a caller; says how often no answer came in good time.
    async fn failures(&self, calls: usize) -> usize {
        let ask = async || {
            let Ok(mut connection) = self.pool.get().await else { return false };
            redis::cmd("DBSIZE").query_async::<u64>(&mut *connection).await.is_ok()
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
    assert_eq!(probe.snapshot().evicted, 3, "the others were left alone");
}

#[tokio::test]
async fn connections_that_were_cut_are_gone_after_a_few_rounds() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.cut();
    let took = found(&probe, |snapshot| snapshot.size == 0).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    assert_eq!(probe.snapshot().broken, SIZE as u64);
    assert_eq!(bench.failures(30).await, 0);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
}

#[tokio::test]
async fn without_a_supervisor_callers_meet_each_of_them_once() {
    let bench = Bench::new().await;
    bench.disturber.change(3, Mode::Frozen);
    assert_eq!(bench.failures(SIZE).await, 3);
    let bench = Bench::new().await;
    bench.disturber.cut();
    assert_eq!(bench.failures(2 * SIZE).await, SIZE, "what is known to be lost is not handed out again");
}

#[tokio::test]
async fn a_policy_that_is_changed_while_it_runs_holds_at_once_and_callers_do_not_notice() {
    let bench = Bench::new().await;
    let seldom = PoolHealthPolicy { interval: Duration::from_secs(3600), ..PoolHealthPolicy::default() };
    let health = PoolHealth::new("test", bench.pool.clone(), seldom, Seed::new(1));
    let (probe, handle) = (health.probe(), health.handle());
    let _running = AbortOnDropHandle::new(tokio::spawn(health.run()));
    bench.disturber.change(3, Mode::Frozen);
    handle.apply(often()).expect("it can be");
    let took = found(&probe, |snapshot| snapshot.evicted == 3).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    let change = async {
        for checks_max in [1, 6, 2, 4].into_iter().cycle() {
            handle.apply(PoolHealthPolicy { checks_max, ..often() }).expect("it can be");
            tokio::time::sleep(INTERVAL / 3).await;
        }
    };
    let rounds = probe.snapshot().rounds;
    let ask = async {
        while probe.snapshot().rounds < rounds + 5 {
            assert_eq!(bench.failures(10).await, 0);
            tokio::time::sleep(INTERVAL / 10).await;
        }
    };
    tokio::select! {
        () = change => unreachable!("it has no end"),
        asked = tokio::time::timeout(Duration::from_secs(20), ask) => asked.expect("rounds go on"),
    }
    assert_eq!(probe.snapshot().evicted, 3, "no other was evicted");
}

#[tokio::test]
async fn a_slow_server_is_unhealthy_and_keeps_its_connections() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change_all(Mode::Slow(Duration::from_millis(150)));
    found(&probe, |snapshot| snapshot.rounds >= 3 && snapshot.health == Health::Unhealthy).await;
    let snapshot = probe.snapshot();
    assert!(snapshot.evicted <= snapshot.rounds && snapshot.kept > 0, "{snapshot:?}");
    bench.disturber.change_all(Mode::Pass);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
}
