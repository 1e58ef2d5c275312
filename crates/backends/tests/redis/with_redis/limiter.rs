//! Rate limits that several limiters share by a real Redis, and what becomes of them without.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_backends::redis::Config;
use steadfast_backends::redis::limiter::{Mode, RedisLimiter, Settings, Snapshot};
use steadfast_base::units::HumanDuration;
use steadfast_guard::rate_limit::{Decision, Error, Quota, SharedLimiter};
use steadfast_servers::Redis;
use tokio::time::{Instant, timeout};

use super::support::{config, started};
use crate::disturber::{Disturber, Mode as Network};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn server() -> Redis {
    started(&[("appendonly", "no")]).await
}

/// Settings with the patience of a test on a machine that has much to do.
fn patient(quota: Quota, share: Quota) -> Settings {
    Settings { answer_within: Duration::from_secs(5), ..Settings::new(quota, share) }
}

async fn open(redis: &Redis, settings: &Settings) -> RedisLimiter {
    let limiter = RedisLimiter::open(&config(redis), settings.clone()).await.expect("it opens");
    assert_eq!(limiter.snapshot().mode, Mode::Shared);
    limiter
}

async fn acquire(limiter: &RedisLimiter, key: &str, permits: u32) -> Result<Decision, Error> {
    limiter.acquire(key, permits).await.expect("it decides")
}

async fn remaining(limiter: &RedisLimiter, key: &str, permits: u32) -> u32 {
    acquire(limiter, key, permits).await.expect("it conforms").remaining()
}

fn retry_after(result: Result<Decision, Error>) -> Duration {
    match result {
        Err(Error::Limited { retry_after, .. }) => retry_after,
        other => panic!("{other:?}"),
    }
}

async fn until(limiter: &RedisLimiter, is: impl Fn(&Snapshot) -> bool) {
    let waiting = async {
        while !is(&limiter.snapshot()) {
            tokio::time::sleep(5 * MS).await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("{limiter:?}"));
}

/// Lets `tasks` tasks of each limiter ask for one permit after the other. Returns how many conformed, and how long it
/// was from before the first to after the last call.
async fn storm(limiters: &[RedisLimiter], tasks: usize, lasts: Duration) -> (u64, Duration) {
    let (start, granted) = (Instant::now(), AtomicU64::new(0));
    let ask = async |limiter: &RedisLimiter| {
        while start.elapsed() < lasts {
            match acquire(limiter, "hot", 1).await {
                Ok(_) => drop(granted.fetch_add(1, Ordering::Relaxed)),
                Err(_) => tokio::time::sleep(MS).await,
            }
        }
    };
    let all = limiters.iter().flat_map(|limiter| (0..tasks).map(move |_| limiter)).map(ask);
    futures::future::join_all(all).await;
    (granted.into_inner(), start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_limiters_on_one_key_never_exceed_its_quota_and_use_it() {
    let redis = server().await;
    let settings = patient(Quota::per_second(400).with_burst(50), Quota::per_second(100));
    let mut limiters = Vec::new();
    for _ in 0..4 {
        limiters.push(open(&redis, &settings).await);
    }
    let (granted, took) = storm(&limiters, 4, Duration::from_secs(2)).await;
    let most = 50.0 + 400.0 * took.as_secs_f64();
    assert!(granted as f64 <= most, "{granted} of {most}");
    assert!(granted as f64 >= 0.9 * (50.0 + 400.0 * 2.0), "{granted}: the quota is there to be used");
    for limiter in &limiters {
        let snapshot = limiter.snapshot();
        assert!(snapshot.mode == Mode::Shared && snapshot.local == 0 && snapshot.shared > 0, "{snapshot:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_exceed_nothing() {
    let redis = server().await;
    let quota = Quota::per_second(20_000).with_burst(2000);
    let settings = Settings { lease: 200, ..patient(quota, Quota::per_second(5000)) };
    let mut limiters = Vec::new();
    for _ in 0..4 {
        limiters.push(open(&redis, &settings).await);
    }
    let (granted, took) = storm(&limiters, 4, Duration::from_secs(2)).await;
    let most = 2000.0 + 20_000.0 * (took + settings.lease_for).as_secs_f64();
    assert!(granted as f64 <= most, "{granted} of {most}");
    assert!(granted > 1000, "{granted}");

    // A quota that nothing comes back to in the time of a test: what is granted adds up to the permit.
    let settings = Settings { lease: 10, lease_for: HOUR, ..patient(Quota::new(1000, 100 * HOUR), quota) };
    let settings = Settings { prefix: "exact".to_owned(), ..settings };
    let mut limiters = Vec::new();
    for _ in 0..4 {
        limiters.push(open(&redis, &settings).await);
    }
    let (granted, _) = storm(&limiters, 4, Duration::from_secs(1)).await;
    assert!((960..=1000).contains(&granted), "{granted}");
    let (more, _) = storm(&limiters, 4, 300 * MS).await;
    assert!(granted + more <= 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_save_round_trips_while_there_is_enough() {
    let redis = server().await;
    let quota = Quota::per_second(10_000_000);
    let limiter = open(&redis, &Settings { lease: 200, ..patient(quota, quota) }).await;
    let (granted, _) = storm(std::slice::from_ref(&limiter), 8, 500 * MS).await;
    let snapshot = limiter.snapshot();
    assert_eq!(snapshot.shared + snapshot.leased, granted);
    assert_eq!((snapshot.allowed, snapshot.refused), (granted, 0));
    assert_eq!(snapshot.round_trips.count, snapshot.shared);
    // A call that asked took one permit itself, all others were taken in advance.
    assert_eq!(snapshot.leased_permits_used, snapshot.leased);
    let left = snapshot.leased_permits - snapshot.leased_permits_used;
    assert!(snapshot.leases == snapshot.shared && left <= 199 * snapshot.leases, "{snapshot:?}");
    assert!(granted > 1000 && snapshot.shared * 100 <= granted, "{snapshot:?}");
}

#[tokio::test]
async fn several_at_a_time_conform_as_in_one_process() {
    let redis = server().await;
    let settings = patient(Quota::new(10, HOUR), Quota::new(10, HOUR));
    let (one, other) = (open(&redis, &settings).await, open(&redis, &settings).await);
    assert_eq!(remaining(&one, "alice", 7).await, 3);
    assert_eq!(remaining(&other, "bob", 1).await, 9, "keys do not know of each other");
    let wait = retry_after(acquire(&other, "alice", 4).await);
    assert!((350 * Duration::from_secs(1)..=360 * Duration::from_secs(1)).contains(&wait), "{wait:?}");
    let decision = acquire(&other, "alice", 3).await.expect("three conform");
    assert_eq!(decision.remaining(), 0, "a refusal takes nothing");
    assert!(decision.reset_after() > HOUR - Duration::from_secs(10));
    let refused = acquire(&one, "alice", 11).await;
    assert_eq!(refused.expect_err("never"), Error::ExceedsBurst { permits: 11, burst: 10 });
    assert_eq!(one.snapshot().refused, 1);
}

#[tokio::test]
async fn permits_come_back_by_the_servers_clock_and_keys_do_not_stay() {
    let redis = server().await;
    let limiter = open(&redis, &patient(Quota::per_second(10), Quota::per_second(10))).await;
    assert_eq!(remaining(&limiter, "alice", 10).await, 0);
    let wait = retry_after(acquire(&limiter, "alice", 2).await);
    assert!(wait > 100 * MS && wait <= 200 * MS, "{wait:?}");
    tokio::time::sleep(wait).await;
    assert!(acquire(&limiter, "alice", 2).await.is_ok());

    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it connects");
    let left: i64 =
        redis::cmd("PTTL").arg("limit:alice").query_async(&mut connection).await.expect("it answers");
    assert!((1..=1000).contains(&left), "{left} ms");
    until_gone(&mut connection, "limit:alice").await;
}

async fn until_gone(connection: &mut redis::aio::MultiplexedConnection, key: &str) {
    let waiting = async {
        while redis::cmd("EXISTS").arg(key).query_async::<u8>(connection).await.expect("it answers") == 1 {
            tokio::time::sleep(20 * MS).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("the key is gone when all has come back");
}

#[tokio::test]
async fn a_quota_that_changes_keeps_what_was_used_in_permits() {
    let redis = server().await;
    let settings = patient(Quota::new(10, HOUR), Quota::new(10, HOUR));
    let (one, other) = (open(&redis, &settings).await, open(&redis, &settings).await);
    assert_eq!(remaining(&one, "alice", 6).await, 4);
    for limiter in [&one, &other] {
        limiter.set_quota(Quota::new(1000, HOUR));
    }
    assert_eq!(other.quota(), Quota::new(1000, HOUR));
    assert_eq!(remaining(&other, "alice", 1).await, 993);
    one.set_quota(Quota::new(10, HOUR));
    assert_eq!(remaining(&one, "alice", 1).await, 2);
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_loaded_again() {
    let redis = server().await;
    let limiter = open(&redis, &patient(Quota::new(10, HOUR), Quota::new(10, HOUR))).await;
    assert_eq!(remaining(&limiter, "alice", 1).await, 9);
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it connects");
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.expect("it forgets");
    assert_eq!(remaining(&limiter, "alice", 1).await, 8);
    let snapshot = limiter.snapshot();
    assert_eq!((snapshot.shared, snapshot.errors, snapshot.local), (2, 0, 0));
}

#[tokio::test]
async fn a_key_that_holds_something_else_is_not_overwritten() {
    let redis = server().await;
    let limiter = open(&redis, &patient(Quota::new(10, HOUR), Quota::new(1, HOUR))).await;
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it connects");
    let _: () = redis::cmd("SET")
        .arg("limit:alice")
        .arg("mine")
        .query_async(&mut connection)
        .await
        .expect("it is set");
    assert_eq!(remaining(&limiter, "alice", 1).await, 0, "the share decides");
    let kept: String =
        redis::cmd("GET").arg("limit:alice").query_async(&mut connection).await.expect("it is");
    assert_eq!((&*kept, limiter.snapshot().errors), ("mine", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_the_share_decides_until_it_is_back() {
    let mut redis = server().await;
    let settings = Settings { retry_every: 50 * MS, ..patient(Quota::new(1000, HOUR), Quota::new(10, HOUR)) };
    let limiters = [open(&redis, &settings).await, open(&redis, &settings).await];
    for limiter in &limiters {
        assert!(acquire(limiter, "alice", 4).await.is_ok());
    }
    redis.kill();
    for limiter in &limiters {
        // Whichever call finds out, it is decided.
        let _ = acquire(limiter, "other", 1).await;
        until(limiter, |snapshot| snapshot.mode == Mode::Local).await;
        // Four of its ten are used: what Redis has granted counts.
        let mut granted = 0;
        for _ in 0..20 {
            let start = Instant::now();
            granted += u32::from(acquire(limiter, "alice", 1).await.is_ok());
            assert!(
                start.elapsed() < settings.answer_within,
                "nobody waits for a server that is known to be away"
            );
        }
        assert_eq!(granted, 6);
        let refused = acquire(limiter, "bob", 11).await;
        assert_eq!(retry_after(refused), settings.retry_every, "it is too much for the share alone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_decides_again_after_good_answers_in_a_row() {
    let mut redis = server().await;
    let settings = Settings { retry_every: 50 * MS, ..patient(Quota::new(1000, HOUR), Quota::new(10, HOUR)) };
    let limiter = open(&redis, &settings).await;
    redis.kill();
    // Whichever call finds out, it is decided.
    let _ = acquire(&limiter, "alice", 1).await;
    until(&limiter, |snapshot| snapshot.mode == Mode::Local).await;
    let _redis = tokio::task::spawn_blocking(move || {
        redis.restart().expect("it starts");
        redis
    })
    .await
    .expect("no panic");
    until(&limiter, |snapshot| snapshot.mode == Mode::Shared).await;
    assert_eq!(remaining(&limiter, "alice", 1).await, 999, "the server has lost its data");
    assert_eq!(limiter.snapshot().changes, 3);
}

#[tokio::test]
async fn a_frozen_server_costs_callers_the_deadline_a_few_times_and_no_more() {
    let redis = server().await;
    let disturber = Disturber::start(redis.address()).await;
    let config = Config { address: disturber.address().to_string(), ..config(&redis) };
    let settings = Settings {
        answer_within: 100 * MS,
        retry_every: 50 * MS,
        ..Settings::new(Quota::new(1000, HOUR), Quota::new(500, HOUR))
    };
    let limiter = RedisLimiter::open(&config, settings).await.expect("it opens");
    assert!(acquire(&limiter, "alice", 1).await.is_ok());
    let before = limiter.snapshot();
    disturber.change_all(Network::Frozen);
    for _ in 0..100 {
        let start = Instant::now();
        assert!(acquire(&limiter, "alice", 1).await.is_ok());
        assert!(start.elapsed() < Duration::from_millis(100 + 500), "{:?}", start.elapsed());
    }
    let snapshot = limiter.snapshot();
    assert_eq!(snapshot.mode, Mode::Local);
    assert_eq!((snapshot.timeouts - before.timeouts, snapshot.local - before.local), (3, 100));
    assert_eq!((snapshot.allowed, snapshot.round_trips.count), (101, before.round_trips.count));

    disturber.change_all(Network::Pass);
    until(&limiter, |snapshot| snapshot.mode == Mode::Shared).await;
    let local = limiter.snapshot().local;
    assert!(acquire(&limiter, "alice", 1).await.is_ok());
    assert_eq!(limiter.snapshot().local, local);
}

#[tokio::test]
async fn without_a_server_from_the_start_it_opens_and_the_share_decides() {
    let mut redis = server().await;
    redis.kill();
    let config = Config { connect_within: HumanDuration(100 * MS), ..config(&redis) };
    let limiter =
        RedisLimiter::open(&config, Settings::new(Quota::per_second(100), Quota::new(2, HOUR))).await;
    let limiter = limiter.expect("it opens all the same");
    assert_eq!(limiter.snapshot().mode, Mode::Local);
    assert_eq!(remaining(&limiter, "alice", 2).await, 0);
    assert!(acquire(&limiter, "alice", 1).await.is_err());
    let wrong =
        Settings { prefix: String::new(), ..Settings::new(Quota::per_second(1), Quota::per_second(1)) };
    assert!(RedisLimiter::open(&config, wrong).await.is_err());
}

#[tokio::test]
async fn dropping_the_last_clone_ends_its_connection() {
    let redis = server().await;
    let disturber = Disturber::start(redis.address()).await;
    let config = Config { address: disturber.address().to_string(), ..config(&redis) };
    let limiter = RedisLimiter::open(&config, patient(Quota::per_second(1), Quota::per_second(1))).await;
    let limiter = limiter.expect("it opens");
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it connects");
    let mut clients = async || {
        let list: String =
            redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.expect("it answers");
        list.lines().count()
    };
    assert_eq!(clients().await, 2);
    drop(limiter.clone());
    assert_eq!(clients().await, 2);
    let probe = limiter.probe();
    drop(limiter);
    let gone = async {
        while clients().await > 1 {
            tokio::time::sleep(5 * MS).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.expect("it ends, though there is a probe");
    assert_eq!((probe.name(), probe.snapshot().changes), ("limit", 1));
}
