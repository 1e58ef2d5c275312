//! A store that promises more than it does.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use steadfast_core::store::{
    Appended, Archived, Batch, Capabilities, Condition, Durability, Error, EventStore, Filter, Position,
    Query, Revision, StoredEvent,
};

/// A store that reports as durable what is merely written.
pub(crate) struct Boastful(pub(crate) Arc<dyn EventStore>);

impl EventStore for Boastful {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            let appended = self.0.append(batch, condition, durability.min(Durability::Written)).await?;
            Ok(Appended { achieved: durability, ..appended })
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.0.read(query)
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.0.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        self.0.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        self.0.revision(stream)
    }

    fn archive(&self, kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        self.0.archive(kept)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.0.close()
    }
}
