//! Writing a large log as fast as it goes.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use steadfast_backends::file::{Config, FileLog};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, NewEvent};
use steadfast_core::{Event, EventId};

const BATCH: u64 = 64;
const STREAMS: u64 = 100_000;
const EVENT: usize = 256;
/// What an event and its share of a frame take on the disk, about.
const TAKEN: u64 = 320;

/// How much was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// Appends as long as `more` says, and closes the log.
pub(super) fn write(place: &Path, more: impl Fn(Written) -> bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let log = FileLog::open(place, Config::default())?;
    let names: Vec<Arc<str>> = (0..STREAMS).map(|stream| format!("stream-{stream}").into()).collect();
    let (source, kind): (Arc<str>, Arc<str>) = ("/bench".into(), "bench.appended".into());
    let (time, data) = (SystemTime::now(), Bytes::from(vec![b'x'; EVENT]));
    let mut written = Written::default();
    runtime.block_on(async {
        while more(written) {
            let events = (written.events..written.events + BATCH).map(|number| {
                // Each stream gets its events spread over all of the log.
                let stream = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % STREAMS;
                let id = EventId::from_u128(number.into());
                let event =
                    Event::restore(id, Arc::clone(&source), Arc::clone(&kind), time).bytes(data.clone());
                NewEvent { stream: Arc::clone(&names[stream as usize]), event }
            });
            let batch = Batch { events: events.collect() };
            log.append(batch, Condition::Any, Durability::Written).await?;
            written.events += BATCH;
            written.bytes += BATCH * TAKEN;
        }
        log.close().await
    })?;
    Ok(())
}
