//! How many appends a second the store in NATS takes, by how many callers append at once and how often the server
//! syncs. It starts a server of its own, whose program `STEADFAST_NATS_SERVER` may name.
//!
//! `cargo run --release -p steadfast-backends --features nats --example nats_appends`

#![allow(clippy::print_stdout, reason = "what it measures is what it says")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use steadfast_backends::nats::store::{NatsStore, Settings};
use steadfast_backends::nats::{Config, SyncInterval};
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Expected};
use steadfast_servers::{Nats, NatsSettings};

/// How long each measurement takes.
const MEASURED: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for sync in [SyncInterval::Lazy, SyncInterval::Always] {
        let server = NatsSettings { sync_always: sync == SyncInterval::Always, ..NatsSettings::default() };
        let server = tokio::task::spawn_blocking(move || Nats::start_with(&server)).await??;
        for (callers, streams) in [(1, "new"), (8, "new"), (64, "new"), (64, "known")] {
            let config = Config { address: server.address().to_string(), sync, ..Config::default() };
            let settings = Settings { stream: format!("rate_{callers}_{streams}"), ..Settings::default() };
            let store = Arc::new(NatsStore::open(config, settings).await?);
            let rate = measure(&store, callers, streams == "new").await?;
            println!("{sync:?}, {callers:>2} callers, {streams} streams: {rate:.0} appends/s");
            store.close().await?;
        }
        tokio::task::spawn_blocking(move || drop(server)).await?;
    }
    Ok(())
}

/// Lets `callers` append one event of 300 bytes at a time, each to a stream that is new, or to one of its own.
async fn measure(store: &Arc<NatsStore>, callers: u64, new: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let appended = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, appended) = (Arc::clone(store), Arc::clone(&appended));
            tokio::spawn(async move {
                let mut number = 0_u64;
                while started.elapsed() < MEASURED {
                    let stream = if new { format!("s{caller}-{number}") } else { format!("s{caller}") };
                    let event = Event::new("/rate", "measured").data("text/plain", vec![b'x'; 300]);
                    let condition = match new {
                        true => Condition::stream(stream.clone(), Expected::NoStream),
                        false => Condition::Any,
                    };
                    store.append(Batch::to_stream(stream, [event]), condition, Durability::Written).await?;
                    number += 1;
                    appended.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, steadfast_core::store::Error>(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(appended.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}
