//! The log without a repository: as many tasks append as many events of the same size.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use steadfast_backends::file::FileLog;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore};
use tokio::task::JoinSet;

use super::TASKS;

pub(super) struct Alone {
    log: Arc<FileLog>,
}

impl Alone {
    pub(super) fn new(log: Arc<FileLog>) -> Self {
        Self { log }
    }

    /// Appends for `length`, and returns how many events a second.
    pub(super) fn round(&self, runtime: &tokio::runtime::Runtime, length: Duration) -> anyhow::Result<f64> {
        let start = Instant::now();
        let end = start + length;
        let done = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..TASKS {
                tasks.spawn(append(Arc::clone(&self.log), task, end));
            }
            tasks.join_all().await
        });
        let elapsed = start.elapsed();
        let done = done.into_iter().sum::<anyhow::Result<u64>>()?;
        Ok(done as f64 / elapsed.as_secs_f64())
    }
}

async fn append(log: Arc<FileLog>, task: usize, end: Instant) -> anyhow::Result<u64> {
    let stream: Arc<str> = format!("alone-{task}").into();
    let (source, kind): (Arc<str>, Arc<str>) = ("/accounts".into(), "account.deposited".into());
    let (subject, time): (Arc<str>, _) = (super::account::name(task).into(), SystemTime::now());
    let data = Bytes::from_static(br#"{"cents":1}"#);
    let mut done = 0;
    while Instant::now() < end {
        let id = steadfast_core::EventId::generate();
        let event = Event::restore(id, Arc::clone(&source), Arc::clone(&kind), time);
        let event = event.subject(Arc::clone(&subject)).bytes(data.clone());
        let batch = Batch::to_stream(Arc::clone(&stream), [event]);
        log.append(batch, Condition::Any, Durability::Written).await?;
        done += 1;
    }
    Ok(done)
}
