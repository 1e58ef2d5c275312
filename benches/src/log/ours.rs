//! Appenders on the file log, each waiting for its append before the next.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use steadfast_backends::file::{Config, FileLog};
use steadfast_core::store::{Batch, Condition, Durability, EventStore};
use steadfast_core::{Event, EventId};
use tokio::task::JoinSet;

use super::recording::Recording;
use super::{EVENT, Round};

pub(super) struct Ours {
    runtime: tokio::runtime::Runtime,
    log: Arc<FileLog>,
    writes: Recording,
    appenders: usize,
    /// Events per append.
    batch: usize,
    durability: Durability,
    next_id: u128,
}

impl Ours {
    /// Opens a log for `appenders` tasks on `workers` threads, besides which the log has its own, that append
    /// `batch` events at a time.
    pub(super) fn open(
        folder: &Path,
        workers: usize,
        appenders: usize,
        batch: usize,
    ) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
        let writes = Recording::default();
        let log = FileLog::open_on(Arc::new(writes.clone()), folder, Config::default())?;
        let (log, durability) = (Arc::new(log), Durability::Durable);
        Ok(Self { runtime, log, writes, appenders, batch, durability, next_id: 0 })
    }

    /// Has appends wait until they are written, and not until they are durable.
    pub(super) fn written(self) -> Self {
        Self { durability: Durability::Written, ..self }
    }

    /// Appends for `length` and returns how many events each write had besides.
    pub(super) fn round(&mut self, length: Duration) -> anyhow::Result<(Round, Vec<u64>)> {
        self.writes.take();
        let start = Instant::now();
        let (log, batch, durability) = (&self.log, self.batch, self.durability);
        let done = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for appender in 0..self.appenders {
                let (log, first) = (Arc::clone(log), self.next_id + ((appender as u128) << 64));
                let end = start + length;
                tasks.spawn(async move { append(&log, appender, first, (batch, durability), end).await });
            }
            tasks.join_all().await
        });
        let elapsed = start.elapsed();
        let (mut events, mut latencies) = (0, Vec::new());
        for done in done {
            let (appended, took) = done?;
            events += appended;
            latencies.extend(took);
        }
        self.next_id += u128::from(events);
        let mut batches = self.writes.take();
        // A mark has none.
        batches.retain(|events| *events > 0);
        Ok((Round { events, elapsed, latencies }, batches))
    }
}

async fn append(
    log: &FileLog,
    appender: usize,
    first_id: u128,
    (batch, durability): (usize, Durability),
    end: Instant,
) -> anyhow::Result<(u64, Vec<u64>)> {
    let stream: Arc<str> = format!("appender-{appender}").into();
    let (source, kind): (Arc<str>, Arc<str>) = ("/bench".into(), "bench.appended".into());
    let (time, data) = (SystemTime::now(), Bytes::from(vec![b'x'; EVENT]));
    let (mut events, mut latencies) = (0, Vec::new());
    let mut now = Instant::now();
    while now < end {
        let made = (0..batch as u128).map(|at| {
            let id = EventId::from_u128(first_id + u128::from(events) + at);
            Event::restore(id, Arc::clone(&source), Arc::clone(&kind), time).bytes(data.clone())
        });
        let batch = Batch::to_stream(Arc::clone(&stream), made);
        events += batch.events.len() as u64;
        let begun = Instant::now();
        log.append(batch, Condition::Any, durability).await?;
        now = Instant::now();
        latencies.push((now - begun).as_nanos() as u64);
    }
    Ok((events, latencies))
}
