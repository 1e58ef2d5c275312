//! What archiving a log saves and costs, measured in one run: `cargo run --release -p steadfast-backends --example archive`.
//!
//! A million events of orders (JSON, with random identities and amounts) in ten thousand streams, in segments of 64 MiB. All of
//! them are read, and a thousand streams one by one, before the finished segments are archived and after.

#![allow(clippy::print_stdout, reason = "what was measured is printed")]

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::{Rng, Seed};
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};

const EVENTS: u64 = 1_000_000;
const BATCH: u64 = 10;
const STREAMS: u64 = 10_000;
const READ_STREAMS: u64 = 1_000;
/// How often all is read; the fastest counts.
const ROUNDS: u32 = 3;

fn order(rng: &mut Rng, number: u64) -> Event {
    let kind = ["order.created", "order.confirmed", "order.paid", "order.shipped"][rng.below(4) as usize];
    let data = format!(
        r#"{{"order":"{number:08}","customer":"{:016x}","total":"{}.{:02} EUR","lines":[{{"sku":"A-{:05}","count":{}}},{{"sku":"B-{:05}","count":{}}}],"note":"leave it with the neighbours","paymentReference":"{:016x}{:016x}"}}"#,
        rng.below(u64::MAX),
        rng.below(500),
        rng.below(100),
        rng.below(20_000),
        1 + rng.below(9),
        rng.below(20_000),
        1 + rng.below(9),
        rng.below(u64::MAX),
        rng.below(u64::MAX),
    );
    Event::new("/orders", kind).subject(format!("order-{number}")).data("application/json", data)
}

/// How long it takes to read all, and how many events that are.
async fn replay(log: &FileLog) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let (mut best, mut count) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut events = log.read(Query::default());
        count = 0;
        while events.try_next().await?.is_some() {
            count += 1;
        }
        best = best.min(begun.elapsed());
    }
    Ok((best, count))
}

/// How long it takes to read one stream on average.
async fn streams(log: &FileLog) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut rng = Seed::new(2).rng();
    let begun = Instant::now();
    for _ in 0..READ_STREAMS {
        let stream = format!("order-{}", rng.below(STREAMS));
        let events: Vec<_> = log.read(Query::stream(stream)).try_collect().await?;
        assert!(!events.is_empty());
    }
    Ok(begun.elapsed() / READ_STREAMS as u32)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let log = FileLog::open(folder.path(), Config::default())?;
    let mut rng = Seed::new(1).rng();
    for _ in 0..EVENTS / BATCH {
        let stream = rng.below(STREAMS);
        let events: Vec<_> = (0..BATCH).map(|_| order(&mut rng, stream)).collect();
        let batch = Batch::to_stream(format!("order-{stream}"), events);
        log.append(batch, Condition::Any, Durability::Written).await?;
    }
    let plain = (replay(&log).await?, streams(&log).await?);
    let begun = Instant::now();
    let archived = log.archive(0).await?;
    let archiving = begun.elapsed();
    let compressed = (replay(&log).await?, streams(&log).await?);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{} segments archived: {:.0} MiB before, {:.0} MiB now, {:.2} times smaller, in {:.2} s ({:.0} MiB/s)",
        archived.segments,
        mib(archived.bytes_before),
        mib(archived.bytes_after),
        archived.bytes_before as f64 / archived.bytes_after as f64,
        archiving.as_secs_f64(),
        mib(archived.bytes_before) / archiving.as_secs_f64(),
    );
    for (what, ((all, count), stream)) in [("plain", plain), ("archived", compressed)] {
        println!(
            "{what:8}  all events: {:.2} million/s   one stream of {} events: {:.2} ms",
            count as f64 / all.as_secs_f64() / 1e6,
            EVENTS / STREAMS,
            stream.as_secs_f64() * 1e3,
        );
    }
    log.close().await?;
    Ok(())
}
