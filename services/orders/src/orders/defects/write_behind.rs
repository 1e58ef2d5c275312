use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use steadfast::core::store::{
    Appended, Archived, Batch, Capabilities, Condition, Durability, Error, EventStore, Filter, Position,
    Query, Revision, StoredEvent,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const EVERY: Duration = Duration::from_millis(250);

/// A store that lies: it says that a batch is as durable as was asked for, and writes it later. This is the defect
/// that "acknowledged before append" names.
pub(in crate::orders) struct WriteBehind {
    shared: Arc<Shared>,
    closing: CancellationToken,
    writer: TaskTracker,
}

struct Shared {
    store: Arc<dyn EventStore>,
    waiting: Mutex<Vec<(Batch, Durability)>>,
}

impl WriteBehind {
    /// Puts the lie before `store`.
    pub(in crate::orders) fn new(store: Arc<dyn EventStore>) -> Self {
        let shared = Arc::new(Shared { store, waiting: Mutex::default() });
        let (closing, writer) = (CancellationToken::new(), TaskTracker::new());
        let (stop, writing) = (closing.clone(), Arc::clone(&shared));
        writer.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
                writing.write().await;
            }
        });
        writer.close();
        Self { shared, closing, writer }
    }
}

impl Shared {
    async fn write(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let appends = waiting
            .into_iter()
            .map(|(batch, durability)| self.store.append(batch, Condition::Any, durability));
        for error in futures::future::join_all(appends).await.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "something acknowledged was not written");
        }
    }
}

impl EventStore for WriteBehind {
    fn capabilities(&self) -> Capabilities {
        self.shared.store.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        _condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        self.shared.waiting.lock().push((batch, durability));
        let (position, revision) = (Position::START, Revision(0));
        Box::pin(async move { Ok(Appended { position, revision, achieved: durability, duplicate: false }) })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.shared.store.read(query)
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.shared.store.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        self.shared.store.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        self.shared.store.revision(stream)
    }

    fn archive(&self, kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        self.shared.store.archive(kept)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.closing.cancel();
            self.writer.wait().await;
            self.shared.write().await;
            self.shared.store.close().await
        })
    }
}
