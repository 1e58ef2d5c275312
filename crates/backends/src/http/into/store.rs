use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, Error as StoreError, EventStore};
use steadfast_core::transport::{Capabilities, Error, Link, LinkState, Ordering, Sink, link};
use tokio::sync::watch;

/// The name in errors.
const SYSTEM: &str = "event store";

/// Names the stream for an event.
type StreamOf = dyn Fn(&Event) -> Arc<str> + Send + Sync;

/// Appends each event to a stream of a store, in the order given, each by itself, so that one that comes again is
/// recognised in whatever company it comes.
///
/// Senders that send at the same time are in no order.
pub struct StoreSink {
    store: Arc<dyn EventStore>,
    stream: Box<StreamOf>,
    link: watch::Sender<Link>,
}

impl StoreSink {
    /// Appends to the stream that `stream` names for an event. Closing the sink leaves the store open.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use steadfast_backends::http::StoreSink;
    /// use steadfast_core::store::MemoryStore;
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// let sink = StoreSink::new(store, |event| event.partition_key().unwrap_or("posted").into());
    /// ```
    pub fn new(
        store: Arc<dyn EventStore>,
        stream: impl Fn(&Event) -> Arc<str> + Send + Sync + 'static,
    ) -> Self {
        let link = link().0;
        link.send_replace(Link::Up);
        Self { store, stream: Box::new(stream), link }
    }

    async fn append(&self, events: &[Event], asked: Durability) -> Result<Durability, Error> {
        let mut lowest = self.store.capabilities().durability_max;
        for event in events {
            if *self.link.borrow() == Link::Closed {
                return Err(Error::Closed);
            }
            let batch = Batch::to_stream((self.stream)(event), [event.clone()]);
            let appended = self.store.append(batch, Condition::Any, asked).await.map_err(error)?;
            lowest = lowest.min(appended.achieved);
        }
        Ok(lowest)
    }
}

impl Sink for StoreSink {
    fn system(&self) -> &'static str {
        "steadfast"
    }

    fn capabilities(&self) -> Capabilities {
        let store = self.store.capabilities();
        let capabilities = Capabilities::new(Ordering::PerKey, store.durability_max);
        if store.deduplicated_events > 0 { capabilities.deduplicates() } else { capabilities }
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(async move {
            let append = self.append(events, durability);
            let appended = tokio::time::timeout_at(deadline.instant(), append).await;
            appended.unwrap_or(Err(Error::DeadlineExceeded { system: SYSTEM }))
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, _: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.link.send_replace(Link::Closed);
        Box::pin(async { Ok(()) })
    }
}

impl std::fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSink").finish_non_exhaustive()
    }
}

fn error(error: StoreError) -> Error {
    match error {
        StoreError::Overloaded => Error::Overloaded { system: SYSTEM, retry_after: None },
        StoreError::Invalid { reason } => Error::Rejected { system: SYSTEM, reason },
        StoreError::Unsupported { what } => Error::Unsupported { system: SYSTEM, what },
        StoreError::Closed => Error::Closed,
        other => Error::Unavailable { system: SYSTEM, reason: other.to_string() },
    }
}
