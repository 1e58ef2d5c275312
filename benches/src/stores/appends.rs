//! Writers that append.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use steadfast_core::store::{Batch, Condition, Durability, EventStore};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::open::Kind;
use super::{Extent, Maker};
use crate::Row;

/// What is appended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appends {
    pub(super) durability: Durability,
    /// Events per append.
    pub(super) batch: usize,
    pub(super) writers: usize,
}

/// What came of it.
struct Done {
    events: u64,
    elapsed: Duration,
    /// How long the appends took, in nanoseconds.
    latencies: Histogram<u64>,
    /// The least that was achieved.
    achieved: Durability,
}

impl Appends {
    /// Appends for a while, after a tenth of it that does not count.
    pub(super) fn run(
        self,
        kind: Kind,
        store: &Arc<dyn EventStore>,
        runtime: &Runtime,
        extent: Extent,
    ) -> anyhow::Result<Vec<Row>> {
        self.round(store, runtime, extent.length / 10)?;
        let done = self.round(store, runtime, extent.length)?;
        let achieved = if done.achieved > self.durability {
            format!(" ({} achieved)", done.achieved)
        } else {
            String::new()
        };
        let name = format!("stores, {kind}, {self}{achieved}");
        let micros = |quantile| done.latencies.value_at_quantile(quantile) as f64 / 1e3;
        Ok(vec![
            Row::alone(&name, done.events as f64 / done.elapsed.as_secs_f64(), "events/s"),
            Row::alone(format!("{name}, p50"), micros(0.5), "µs"),
            Row::alone(format!("{name}, p99"), micros(0.99), "µs"),
        ])
    }

    fn round(self, store: &Arc<dyn EventStore>, runtime: &Runtime, length: Duration) -> anyhow::Result<Done> {
        let start = Instant::now();
        let end = start + length;
        let parts = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for writer in 0..self.writers {
                tasks.spawn(self.append(Arc::clone(store), writer, end));
            }
            tasks.join_all().await
        });
        let elapsed = start.elapsed();
        let latencies = Histogram::new(3)?;
        let mut all = Done { events: 0, elapsed, latencies, achieved: Durability::Replicated };
        for part in parts {
            let Done { events, latencies, achieved, .. } = part?;
            all.events += events;
            all.latencies.add(&latencies)?;
            all.achieved = all.achieved.min(achieved);
        }
        Ok(all)
    }

    async fn append(self, store: Arc<dyn EventStore>, writer: usize, end: Instant) -> anyhow::Result<Done> {
        let stream: Arc<str> = format!("writer-{writer}").into();
        let maker = Maker::new();
        let start = Instant::now();
        let (mut events, mut latencies, mut achieved) = (0, Histogram::new(3)?, Durability::Replicated);
        let mut now = start;
        while now < end {
            let batch = Batch::to_stream(Arc::clone(&stream), (0..self.batch).map(|_| maker.event()));
            let begun = Instant::now();
            let appended = store.append(batch, Condition::Any, self.durability).await?;
            now = Instant::now();
            latencies.record((now - begun).as_nanos() as u64)?;
            achieved = achieved.min(appended.achieved);
            events += self.batch as u64;
        }
        Ok(Done { events, elapsed: start.elapsed(), latencies, achieved })
    }
}

impl fmt::Display for Appends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { durability, batch, writers } = self;
        let what = if *batch == 1 { "single events".to_owned() } else { format!("batches of {batch}") };
        let plural = if *writers == 1 { "" } else { "s" };
        write!(f, "{durability}, {what}, {writers} writer{plural}")
    }
}
