//! What the tests of the file log share.

use std::sync::Arc;

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::Seed;
use steadfast_base::disk::SimDisk;
use steadfast_base::units::Size;
use steadfast_core::store::{Appended, Batch, Condition, Durability, Error, EventStore, Query, StoredEvent};
use steadfast_core::{Event, EventId};

/// Where the log lies on a simulated disk.
pub(crate) const FOLDER: &str = "/log";

/// Segments of 4 KiB, and everything in the same order each time.
pub(crate) fn small() -> Config {
    Config {
        segment_size: Size::from_bytes(4096),
        deduplicated_events: 1000,
        prepare_ahead: false,
        identity: Some(7),
        ..Config::default()
    }
}

pub(crate) fn sim(seed: u64) -> SimDisk {
    SimDisk::new(Seed::new(seed))
}

pub(crate) fn open(disk: &SimDisk) -> Result<FileLog, Error> {
    FileLog::open_on(Arc::new(disk.process()), FOLDER, small())
}

/// Opens the log and believes no index file.
pub(crate) fn verify(disk: &SimDisk) -> Result<FileLog, Error> {
    FileLog::open_on(Arc::new(disk.process()), FOLDER, Config { verify_on_open: true, ..small() })
}

/// An event whose identity is `id`.
pub(crate) fn event(id: u64) -> Event {
    Event::new("/test", "tested").id(EventId::from_u128(id.into())).subject(format!("s{id}")).build()
}

pub(crate) async fn append(log: &FileLog, stream: &str, ids: impl IntoIterator<Item = u64>) -> Appended {
    try_append(log, stream, ids, Durability::Durable).await.expect("appended")
}

pub(crate) async fn try_append(
    log: &dyn EventStore,
    stream: &str,
    ids: impl IntoIterator<Item = u64>,
    durability: Durability,
) -> Result<Appended, Error> {
    log.append(Batch::to_stream(stream, ids.into_iter().map(event)), Condition::Any, durability).await
}

pub(crate) async fn all(log: &dyn EventStore) -> Result<Vec<StoredEvent>, Error> {
    log.read(Query::default()).try_collect().await
}

pub(crate) async fn ids(log: &dyn EventStore) -> Vec<u64> {
    all(log).await.expect("readable").iter().map(|stored| stored.event.id().as_u128() as u64).collect()
}
