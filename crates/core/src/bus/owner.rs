use std::any::{Any, type_name};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio_util::sync::CancellationToken;

use super::hub::{Bell, Sums};
use super::topic::{Shared, Topic};
use super::{Error, TopicMetrics};

/// The owner of topics; see the [module](crate::bus).
///
/// Dropping it closes the topics: publishing is refused from then on, and handlers end once their queues are
/// empty.
#[derive(Default)]
pub struct Bus {
    topics: Mutex<HashMap<Arc<str>, Arc<dyn AnyTopic>>>,
    bell: Arc<Bell>,
    closed: AtomicBool,
    aborted: CancellationToken,
}

/// What became of the messages that were in queues when a bus was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Taken by hand or handled well, while closing.
    pub handled: u64,
    /// Became dead letters while closing.
    pub dead: u64,
    /// Parked behind a dead letter of their key, while closing.
    pub parked: u64,
    /// None of these: still queued or being handled at the deadline, or dropped with their subscription.
    pub abandoned: u64,
}

/// A topic whose type is known only to whoever asks for it.
pub(super) trait AnyTopic: Send + Sync {
    fn close(&self);
    fn metrics(&self) -> TopicMetrics;
    fn sums(&self) -> Sums;
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
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let topic = topics.entry(Arc::clone(&name)).or_insert_with(|| {
            Arc::new(Shared::<T>::new(Arc::clone(&name), Arc::clone(&self.bell), self.aborted.clone()))
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
        let before = self.sums();
        self.refuse();
        let topics: Vec<_> = self.topics.lock().values().cloned().collect();
        let _ = tokio::time::timeout_at(deadline.instant(), async {
            // Nothing is published any more: a topic that has been emptied stays so.
            for topic in topics {
                poll_fn(|context| self.bell.listen(context.waker(), || topic.sums().unended == 0)).await;
            }
        })
        .await;
        self.aborted.cancel();
        let after = self.sums();
        Drained {
            handled: after.handled - before.handled,
            dead: after.dead - before.dead,
            parked: after.parked - before.parked,
            abandoned: after.abandoned - before.abandoned + after.unended,
        }
    }

    /// What has become of all messages.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.topics.lock().values().for_each(|topic| sums += topic.sums());
        sums
    }

    fn refuse(&self) {
        let topics = self.topics.lock();
        self.closed.store(true, Ordering::Release);
        topics.values().for_each(|topic| topic.close());
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
