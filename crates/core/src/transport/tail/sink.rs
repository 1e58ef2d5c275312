use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use tokio::sync::watch;

use super::source::capabilities;
use super::{SYSTEM, transport_error};
use crate::Event;
use crate::store::{Batch, Condition, Durability, EventStore};
use crate::transport::{Capabilities, Error, Link, LinkState, Sink};

/// What is sent is appended to a store, each event to the stream of its partition key. Closing the sink leaves the
/// store open.
///
/// Each event is a batch of its own, so that one that is sent again, in whatever company, is recognised by its id.
pub struct AppendSink {
    store: Arc<dyn EventStore>,
    stream: Arc<str>,
    link: watch::Sender<Link>,
    closed: AtomicBool,
}

impl AppendSink {
    /// Makes a sink into `store`. Events go to streams named `PREFIX-KEY`, those without a key to `PREFIX`.
    pub fn new(store: Arc<dyn EventStore>, prefix: impl Into<Arc<str>>) -> Self {
        let (stream, link) = (prefix.into(), watch::Sender::new(Link::Up));
        Self { store, stream, link, closed: AtomicBool::new(false) }
    }

    fn batch(&self, event: &Event) -> Batch {
        let stream = match event.partition_key() {
            Some(key) => format!("{}-{key}", self.stream).into(),
            None => Arc::clone(&self.stream),
        };
        Batch::to_stream(stream, [event.clone()])
    }

    async fn append(&self, events: &[Event], durability: Durability) -> Result<Durability, Error> {
        let mut achieved = capabilities(&*self.store).durability_max;
        for event in events {
            let appended = self.store.append(self.batch(event), Condition::Any, durability).await;
            achieved = achieved.min(appended.map_err(|error| transport_error(&error))?.achieved);
        }
        Ok(achieved)
    }
}

impl Sink for AppendSink {
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
