//! How many calls per second one process decides by a limit in Redis: each by a round trip, and with permits that are
//! taken in advance; beside them the server's own answers to `PING` by the same number of callers.
//!
//! `cargo run --release -p steadfast-backends --example redis_limiter --features redis-limit`, with
//! `REDIS_ADDRESS=HOST:PORT` for a server that runs already; without it one is started.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use futures::future::join_all;
use steadfast_backends::redis::Config;
use steadfast_backends::redis::limiter::{RedisLimiter, Settings};
use steadfast_guard::rate_limit::{Quota, SharedLimiter};
use steadfast_servers::Redis;
use tokio::time::Instant;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let address = std::env::var("REDIS_ADDRESS").ok();
    let server = match &address {
        None => Some(tokio::task::spawn_blocking(|| Redis::start_with(&[("appendonly", "no")])).await??),
        Some(_) => None,
    };
    let address = address.or(server.as_ref().map(|server| server.address().to_string())).unwrap_or_default();
    let lasts = Duration::from_secs(2);
    for callers in [1, 64] {
        let pings = pings(&address, callers, lasts).await?;
        println!("{callers:2} callers  PING       {pings:9.0}/s");
        for lease in [1, 10, 100] {
            let (calls, trips) = limited(&address, callers, lease, lasts).await?;
            println!("{callers:2} callers  lease {lease:3}  {calls:9.0}/s  {trips:8.0} round trips/s");
        }
    }
    Ok(())
}

async fn pings(address: &str, callers: usize, lasts: Duration) -> Result<f64, Failed> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let connection = client.get_multiplexed_async_connection().await?;
    let start = Instant::now();
    let counts = join_all((0..callers).map(|_| {
        let mut connection = connection.clone();
        async move {
            let mut count = 0_u32;
            while start.elapsed() < lasts {
                redis::cmd("PING").query_async::<()>(&mut connection).await?;
                count += 1;
            }
            Ok::<_, Failed>(count)
        }
    }))
    .await;
    let count = counts.into_iter().sum::<Result<u32, _>>()?;
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Returns calls and round trips per second, of a quota that is never used up.
async fn limited(address: &str, callers: usize, lease: u32, lasts: Duration) -> Result<(f64, f64), Failed> {
    let config = Config { address: address.to_owned(), ..Config::default() };
    let quota = Quota::new(u32::MAX, Duration::from_secs(60));
    let settings = Settings { lease, answer_within: Duration::from_secs(5), ..Settings::new(quota, quota) };
    let limiter = RedisLimiter::open(&config, settings).await?;
    let start = Instant::now();
    join_all((0..callers).map(|_| async {
        let mut calls = 0_u32;
        while start.elapsed() < lasts {
            let _ = limiter.acquire("key", 1).await;
            calls += 1;
            // A decision without a round trip does not wait, and would leave no turn to the others.
            if calls.is_multiple_of(16) {
                tokio::task::yield_now().await;
            }
        }
    }))
    .await;
    let seconds = start.elapsed().as_secs_f64();
    let snapshot = limiter.snapshot();
    let calls = (snapshot.shared + snapshot.leased) as f64;
    if snapshot.local + snapshot.refused > 0 {
        return Err(format!("not what is to be measured: {snapshot:?}").into());
    }
    Ok((calls / seconds, snapshot.shared as f64 / seconds))
}
