//! A store for tests that fails when it is told to.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use super::{
    Appended, Batch, Capabilities, Condition, Durability, Error, EventStore, Filter, MemoryStore, Outcome,
    Position, Query, Revision, StoredEvent,
};

/// A [`MemoryStore`] with failures to come, each counted down when it happens.
#[derive(Debug, Default)]
pub(crate) struct Flaky {
    pub(crate) inner: MemoryStore,
    /// Appends that are refused.
    pub(crate) appends: AtomicU32,
    /// Appends that are made and said to have failed.
    pub(crate) answers: AtomicU32,
    /// How often others get their turn before an append is made, and after it.
    pub(crate) pauses: AtomicU32,
    /// Subscriptions that end with an error instead of their next event.
    pub(crate) subscriptions: AtomicU32,
}

impl Flaky {
    async fn pause(&self) {
        for _ in 0..self.pauses.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

fn happens(failures: &AtomicU32) -> bool {
    failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failure(doing: &'static str, outcome: Outcome) -> Error {
    Error::io(doing, std::io::Error::other("told to"), outcome)
}

impl EventStore for Flaky {
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
            if happens(&self.appends) {
                return Err(failure("refusing", Outcome::NotAppended));
            }
            self.pause().await;
            let appended = self.inner.append(batch, condition, durability).await;
            self.pause().await;
            if happens(&self.answers) {
                return Err(failure("answering", Outcome::Unknown));
            }
            appended
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        self.inner.read(query)
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        let events = self.inner.subscribe(filter, after).map(|stored| match happens(&self.subscriptions) {
            true => Err(failure("reading", Outcome::NotAppended)),
            false => stored,
        });
        // As every store's, the stream ends after its first error.
        let ended = |failed: &mut bool, stored: Result<StoredEvent, Error>| {
            let ends = std::mem::replace(failed, stored.is_err());
            std::future::ready((!ends).then_some(stored))
        };
        events.scan(false, ended).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        self.inner.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        self.inner.revision(stream)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}
