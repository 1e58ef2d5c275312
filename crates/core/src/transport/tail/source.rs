use std::sync::Arc;

use futures::future::BoxFuture;

use super::receiver::TailReceiver;
use super::{SYSTEM, transport_error};
use crate::store::{Checkpoint, Durability, EventStore, Filter};
use crate::transport::{Capabilities, Error, Ordering, Receiver, Source, Start, Subscribe};

/// The events of a store that pass a filter, in their order, as a [`Source`].
///
/// Where a group is is kept in the store itself, under the group's name. A group has one receiver at a time: when
/// a second one is opened and moves the checkpoint, the first ends with [`Error::Rejected`]. Events that were handled
/// while an earlier one was not are handed out again to the next receiver.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore, Filter, MemoryStore};
/// use steadfast_core::transport::tail::Tail;
/// use steadfast_core::transport::{Source, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// store.append(batch, Condition::Any, Durability::Accepted).await?;
///
/// let receiver = Tail::new(store, Filter::all()).open(&Subscribe::new("mail")).await?;
/// assert_eq!(receiver.receive(10).await?[0].event.kind(), "order.created");
/// # Ok(()) }
/// ```
pub struct Tail {
    store: Arc<dyn EventStore>,
    filter: Filter,
}

impl Tail {
    /// Makes the source of the events in `store` that pass `filter`.
    pub fn new(store: Arc<dyn EventStore>, filter: Filter) -> Self {
        Self { store, filter }
    }
}

impl Source for Tail {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        "tail"
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&*self.store)
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async move {
            let opened = async {
                let store = &*self.store;
                let mut checkpoint = Checkpoint::load(store, &format!("tail-{}", subscribe.group)).await?;
                if subscribe.start == Start::New && !checkpoint.has_moved() {
                    // Kept, so that the next receiver does not begin at what is new by then.
                    checkpoint.save(store, store.head().await?, usual(store)).await?;
                }
                Ok(checkpoint)
            };
            let checkpoint = opened.await.map_err(|error| transport_error(&error))?;
            let (store, filter) = (Arc::clone(&self.store), self.filter.clone());
            let receiver = TailReceiver::new(store, filter, checkpoint, subscribe.in_flight_max);
            Ok(Box::new(receiver) as Box<dyn Receiver>)
        })
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("filter", &self.filter).finish_non_exhaustive()
    }
}

pub(super) fn capabilities(store: &dyn EventStore) -> Capabilities {
    let store = store.capabilities();
    let capabilities = Capabilities::new(Ordering::Total, store.durability_max).seek().resumes();
    if store.deduplicated_events > 0 { capabilities.deduplicates() } else { capabilities }
}

/// How safe a checkpoint is made: losing a move costs duplicates only.
pub(super) fn usual(store: &dyn EventStore) -> Durability {
    store.capabilities().durability_max.min(Durability::Written)
}
