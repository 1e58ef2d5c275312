//! A store that keeps nothing, so that what a process takes is the repository's.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use steadfast_core::store::{
    Appended, Batch, Capabilities, Condition, Durability, Error, EventStore, Expected, Filter, Position,
    Query, Revision, StoredEvent,
};

#[derive(Debug, Default)]
pub(super) struct Nothing(AtomicU64);

impl EventStore for Nothing {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Accepted, false, 0)
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        let count = batch.events.len() as u64;
        let next = match condition {
            Condition::Streams(streams) => match streams.first().map(|stream| stream.expected) {
                Some(Expected::Revision(Revision(revision))) => revision + 1,
                _ => 0,
            },
            _ => 0,
        };
        let last = self.0.fetch_add(count, Ordering::Relaxed) + count;
        let appended = Appended {
            position: Position::from_parts(last, 0),
            revision: Revision(next + count - 1),
            achieved: durability,
            duplicate: false,
        };
        Box::pin(std::future::ready(Ok(appended)))
    }

    fn read(&self, _: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        stream::empty().boxed()
    }

    fn subscribe(&self, _: Filter, _: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        stream::empty().boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(std::future::ready(Ok(Position::from_parts(self.0.load(Ordering::Relaxed), 0))))
    }

    fn revision<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
