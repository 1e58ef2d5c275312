//! Lives that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use steadfast_base::Rng;
use tokio::sync::Notify;

use crate::store::{
    Appended, Archived, Batch, Capabilities, Condition, Durability, Error, EventStore, Filter, Position,
    Query, Revision, StoredEvent,
};
use crate::testing;
use crate::testing::store::tools::within;
use crate::testing::store::{Crash, StoreFactory};

/// How many lives may be cut short before one has no end.
const LIVES: u64 = 12;

/// A store for one life after another.
pub(super) struct Lives<'f> {
    factory: &'f mut dyn StoreFactory,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) rng: Rng,
    lived: u64,
}

impl<'f> Lives<'f> {
    /// Opens the store, and draws the seed of all that happens.
    pub(super) async fn begin(factory: &'f mut dyn StoreFactory) -> Self {
        let seed = testing::seed();
        let store = factory.open().await;
        Self { factory, store, rng: seed.rng(), lived: 0 }
    }

    /// Gives the store for a life that ends after fewer than `appends_max` appends, in the middle of one; after some
    /// lives, one that has no end.
    pub(super) fn mortal(&mut self, appends_max: u64) -> Arc<Mortal> {
        self.lived += 1;
        let left = if self.lived > LIVES { u64::MAX } else { self.rng.below(2 * appends_max) };
        let (left, dead) = (AtomicU64::new(left), Notify::new());
        Arc::new(Mortal { inner: Arc::clone(&self.store), left, dead })
    }

    /// Opens the store again. Whatever used it is dropped by now.
    pub(super) async fn next(&mut self) -> Result<(), String> {
        if let Some(crashing) = self.factory.crash(Crash::Process) {
            self.store = within("opening after the crash", crashing).await?;
            return Ok(());
        }
        if let Some(reopening) = self.factory.reopen() {
            let closed = within("close", self.store.close()).await?;
            closed.map_err(|error| format!("close failed: {error}"))?;
            self.store = within("reopen", reopening).await?;
        }
        Ok(())
    }
}

/// A store that hangs at some append, before or after it is made, as for a process that dies there.
pub(super) struct Mortal {
    inner: Arc<dyn EventStore>,
    left: AtomicU64,
    dead: Notify,
}

impl Mortal {
    /// Does `work` until it ends, or the life does: none then.
    pub(super) async fn live<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        tokio::select! {
            biased;
            () = self.dead.notified() => None,
            done = work => Some(done),
        }
    }

    async fn burn(&self) {
        let left = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if left.is_err() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl EventStore for Mortal {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            self.burn().await;
            let appended = self.inner.append(batch, condition, durability).await;
            self.burn().await;
            appended
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.inner.read(query)
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.inner.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        self.inner.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        self.inner.revision(stream)
    }

    fn archive(&self, kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        self.inner.archive(kept)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}
