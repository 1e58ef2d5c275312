use std::any::{Any, type_name};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio_util::sync::CancellationToken;

use super::metrics::{Totals, get};
use super::topic::{Shared, Topic};
use super::{Error, TopicMetrics};

/// The owner of topics; see the [module](crate::bus).
///
/// Dropping it closes the topics: publishing is refused from then on, and handlers end once their queues are
/// empty.
#[derive(Default)]
pub struct Bus {
    topics: Mutex<HashMap<Arc<str>, Arc<dyn AnyTopic>>>,
    totals: Arc<Totals>,
    closed: CancellationToken,
    aborted: CancellationToken,
}

/// What became of the messages that were in queues when a bus was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Taken by hand or handled well, while closing.
    pub delivered: u64,
    /// Became dead letters while closing.
    pub dead: u64,
    /// Neither: still queued or being handled at the deadline, or dropped with their subscription.
    pub abandoned: u64,
}

/// A topic whose type is known only to whoever asks for it.
pub(super) trait AnyTopic: Send + Sync {
    fn close(&self);
    fn metrics(&self) -> TopicMetrics;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Bus {
    /// Creates a bus without topics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the topic `name`, which is made at the first call.
    ///
    /// # Errors
    /// [`Error::OtherType`] when the topic carries another type; [`Error::Closed`].
    pub fn topic<T: Clone + Send + Sync + 'static>(
        &self,
        name: impl Into<Arc<str>>,
    ) -> Result<Topic<T>, Error> {
        let name = name.into();
        let mut topics = self.topics.lock();
        if self.closed.is_cancelled() {
            return Err(Error::Closed);
        }
        let topic = topics.entry(Arc::clone(&name)).or_insert_with(|| {
            let (closed, aborted) = (self.closed.clone(), self.aborted.clone());
            Arc::new(Shared::<T>::new(Arc::clone(&name), Arc::clone(&self.totals), closed, aborted))
        });
        match Arc::clone(topic).into_any().downcast::<Shared<T>>() {
            Ok(shared) => Ok(Topic::new(shared)),
            Err(_) => {
                tracing::debug!(topic = &*name, asked = type_name::<T>(), "the topic carries another type");
                Err(Error::OtherType { topic: name })
            }
        }
    }

    /// Returns what each topic has carried, by name.
    pub fn metrics(&self) -> Vec<TopicMetrics> {
        let mut metrics: Vec<_> = self.topics.lock().values().map(|topic| topic.metrics()).collect();
        metrics.sort_by(|a, b| a.topic.cmp(&b.topic));
        metrics
    }

    /// Refuses to publish from now on, lets subscribers empty their queues until `deadline`, then ends handlers
    /// that are still running, and says what became of the messages.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the topics closed; handlers go on until their queues are empty.
    pub async fn close(&self, deadline: Deadline) -> Drained {
        let counters = &self.totals.counters;
        let (delivered, dead) = (get(&counters.delivered), get(&counters.dead));
        let abandoned = get(&counters.abandoned);
        self.refuse();
        let _ = tokio::time::timeout_at(deadline.instant(), async {
            loop {
                let ended = self.totals.ended.notified();
                tokio::pin!(ended);
                // Listen before looking, or the last message could end in between.
                ended.as_mut().enable();
                if counters.depth() == 0 {
                    break;
                }
                ended.await;
            }
        })
        .await;
        self.aborted.cancel();
        let left = counters.depth();
        Drained {
            delivered: get(&counters.delivered) - delivered,
            dead: get(&counters.dead) - dead,
            abandoned: get(&counters.abandoned) - abandoned + left,
        }
    }

    #[cfg(test)]
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    fn refuse(&self) {
        self.closed.cancel();
        self.topics.lock().values().for_each(|topic| topic.close());
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.refuse();
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("topics", &self.metrics()).finish()
    }
}
