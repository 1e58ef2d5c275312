use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use tokio::sync::watch;

use super::source::capabilities;
use super::{SYSTEM, transport_error};
use crate::Event;
use crate::store::{Batch, Condition, Durability, EventStore, NewEvent};
use crate::transport::{Capabilities, Error, Link, LinkState, Sink};

/// What is sent is appended to a store, each event to the stream of its partition key. Closing the sink leaves the
/// store open.
pub struct StoreSink {
    store: Arc<dyn EventStore>,
    stream: Arc<str>,
    link: watch::Sender<Link>,
    closed: AtomicBool,
}

impl StoreSink {
    /// Makes a sink into `store`. Events go to streams named `PREFIX-KEY`, those without a key to `PREFIX`.
    pub fn new(store: Arc<dyn EventStore>, prefix: impl Into<Arc<str>>) -> Self {
        let (stream, link) = (prefix.into(), watch::Sender::new(Link::Up));
        Self { store, stream, link, closed: AtomicBool::new(false) }
    }

    fn batch(&self, events: &[Event]) -> Batch {
        let new = |event: &Event| {
            let stream = match event.partition_key() {
                Some(key) => format!("{}-{key}", self.stream).into(),
                None => Arc::clone(&self.stream),
            };
            NewEvent { stream, event: event.clone() }
        };
        Batch { events: events.iter().map(new).collect() }
    }

    async fn append(&self, events: &[Event], durability: Durability) -> Result<Durability, Error> {
        let together = if self.store.capabilities().multi_stream { events.len().max(1) } else { 1 };
        let mut achieved = capabilities(&*self.store).durability_max;
        for events in events.chunks(together) {
            let appended = self.store.append(self.batch(events), Condition::Any, durability).await;
            achieved = achieved.min(appended.map_err(|error| transport_error(&error))?.achieved);
        }
        Ok(achieved)
    }
}

impl Sink for StoreSink {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&*self.store)
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(async move {
            if self.closed.load(Ordering::Acquire) {
                return Err(Error::Closed);
            }
            let append = tokio::time::timeout_at(deadline.instant(), self.append(events, durability));
            append.await.unwrap_or(Err(Error::DeadlineExceeded { system: SYSTEM }))
        })
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            // Who is appending goes on: the store is open.
            self.closed.store(true, Ordering::Release);
            self.link.send_replace(Link::Closed);
            Ok(())
        })
    }
}
