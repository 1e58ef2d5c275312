use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;

use super::{Snapshot, Snapshots};
use crate::Event;
use crate::encryption::is_forgotten;
use crate::store::{self, Batch, Condition, Direction, Durability, EventStore, Query};

/// What the name of a stream of snapshots begins with.
const PREFIX: &str = "snapshot-";
/// The type of the event that drops a snapshot.
const DROPPED: &str = "steadfast.snapshot.dropped";

/// Snapshots in streams of an event store, beside the events they were made of or in a store of their own.
///
/// Only the newest event of each is of use. Choose the policy so that snapshots stay a small part of the store: they
/// take its space like any event.
pub struct StoredSnapshots {
    store: Arc<dyn EventStore>,
}

impl StoredSnapshots {
    /// The type of the events that hold a snapshot.
    pub const KIND: &'static str = "steadfast.snapshot.taken";

    /// Returns the stream whose snapshots stand in `stream`, if any do.
    pub fn stream_of(stream: &str) -> Option<&str> {
        stream.strip_prefix(PREFIX)
    }

    /// Keeps snapshots in `store`.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }

    async fn append(&self, stream: &str, event: Event) -> Result<(), store::Error> {
        let batch = Batch::to_stream(format!("{PREFIX}{stream}"), [event]);
        // A snapshot that is lost is taken again: no more is asked for than the store gives at once.
        self.store.append(batch, Condition::Any, Durability::Accepted).await.map(drop)
    }

    async fn newest(&self, stream: &str) -> Result<Option<Event>, store::Error> {
        let stream = format!("{PREFIX}{stream}");
        let query = Query { direction: Direction::Backward, limit: Some(1), ..Query::stream(stream) };
        Ok(self.store.read(query).try_next().await?.map(|stored| stored.event))
    }
}

impl Snapshots for StoredSnapshots {
    fn load<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, store::Error>> {
        Box::pin(async move {
            let Some(event) = self.newest(stream).await?.filter(|event| event.kind() == Self::KIND) else {
                return Ok(None);
            };
            if is_forgotten(&event) {
                return Ok(None);
            }
            match Snapshot::from_bytes(event.data()) {
                Ok(snapshot) => Ok(Some(snapshot)),
                Err(error) => {
                    tracing::warn!(stream, %error, "a snapshot cannot be read; the state is rebuilt from its events");
                    Ok(None)
                }
            }
        })
    }

    fn save<'a>(&'a self, stream: &'a str, snapshot: Snapshot) -> BoxFuture<'a, Result<(), store::Error>> {
        Box::pin(async move {
            let event = Event::new("/steadfast/snapshot", Self::KIND);
            self.append(stream, event.data("application/octet-stream", snapshot.to_bytes())).await
        })
    }

    fn remove<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<(), store::Error>> {
        Box::pin(async move {
            match self.newest(stream).await? {
                Some(event) if event.kind() == Self::KIND => {
                    self.append(stream, Event::new("/steadfast/snapshot", DROPPED).build()).await
                }
                _ => Ok(()),
            }
        })
    }
}

impl std::fmt::Debug for StoredSnapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredSnapshots").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::*;
    use crate::snapshot::MemorySnapshots;
    use crate::store::{MemoryStore, Position, Revision};

    #[tokio::test]
    async fn the_newest_is_found_and_one_that_was_dropped_is_not() {
        let stored = StoredSnapshots::new(Arc::new(MemoryStore::new()));
        let places: [&dyn Snapshots; 2] = [&stored, &MemorySnapshots::new()];
        for place in places {
            assert_eq!(place.load("a").await.expect("a reachable place"), None);
            place.remove("a").await.expect("nothing to drop");
            for revision in [3, 7] {
                let snapshot = Snapshot {
                    version: 1,
                    revision: Revision(revision),
                    position: Position::from_parts(revision, 0),
                    taken: SystemTime::UNIX_EPOCH,
                    commands: vec![],
                    state: Bytes::from_static(b"state"),
                };
                place.save("a", snapshot.clone()).await.expect("a place that takes it");
                assert_eq!(place.load("a").await.expect("a reachable place"), Some(snapshot));
                assert_eq!(place.load("b").await.expect("a reachable place"), None);
            }
            place.remove("a").await.expect("a reachable place");
            assert_eq!(place.load("a").await.expect("a reachable place"), None);
        }
    }
}
