use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::metrics::{Counters, Ledger, Totals, get};
use super::owner::AnyTopic;
use super::{Error, Message, Subscription, SubscriptionMetrics, TopicMetrics};

/// A named place where messages of one type are published to all who subscribe; cloning gives another handle.
pub struct Topic<T> {
    shared: Arc<Shared<T>>,
}

pub(super) struct Shared<T> {
    pub(super) name: Arc<str>,
    pub(super) aborted: CancellationToken,
    /// Replaced as a whole when somebody comes or goes, so that a publisher copies one pointer. Taken by closing.
    queues: Mutex<Option<Arc<[Queue<T>]>>>,
    published: AtomicU64,
    totals: Arc<Totals>,
    closed: CancellationToken,
}

struct Queue<T> {
    subscriber: Arc<str>,
    sender: mpsc::Sender<Message<T>>,
    ledger: Arc<Ledger>,
}

impl<T: Clone + 'static> Topic<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Returns the topic's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Subscribes to what is published from now on, as `subscriber`, with room for `capacity` messages, at least
    /// one.
    ///
    /// A subscription that is neither taken from nor run holds up the publishers once its queue is full.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn subscribe(
        &self,
        subscriber: impl Into<Arc<str>>,
        capacity: usize,
    ) -> Result<Subscription<T>, Error> {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let bus = Arc::clone(&self.shared.totals);
        let ledger = Arc::new(Ledger { own: Counters::default(), bus, gone: AtomicBool::new(false) });
        let queue = Queue { subscriber: subscriber.into(), sender, ledger: Arc::clone(&ledger) };
        let mut queues = self.shared.queues.lock();
        let present = queues.take().ok_or(Error::Closed)?;
        *queues = Some(present.iter().cloned().chain([queue]).collect());
        Ok(Subscription::new(Arc::clone(&self.shared), receiver, ledger))
    }

    /// Publishes a message to all subscribers and returns how many they are; waits while a queue is full.
    ///
    /// # Errors
    /// [`Error::Closed`], also when the bus closes while this waits.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready publishes to nobody.
    pub async fn publish(&self, message: impl Into<Message<T>>) -> Result<usize, Error> {
        self.shared.publish(message.into(), &Mutex::default()).await
    }

    /// Publishes a message to all subscribers as [`publish`](Self::publish) does, if there is room until
    /// `deadline`.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`], then nobody got the message; [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready publishes to nobody.
    pub async fn publish_within(
        &self,
        message: impl Into<Message<T>>,
        deadline: Deadline,
    ) -> Result<usize, Error> {
        let waiting_for = Mutex::default();
        let publish = self.shared.publish(message.into(), &waiting_for);
        match tokio::time::timeout_at(deadline.instant(), publish).await {
            Ok(published) => published,
            Err(_) => {
                let subscriber = waiting_for.lock().take().unwrap_or_else(|| Arc::from(""));
                Err(Error::DeadlineExceeded { subscriber })
            }
        }
    }

    /// Publishes a message to all subscribers if all have room now, and returns how many they are.
    ///
    /// # Errors
    /// [`Error::Full`], then nobody got the message; [`Error::Closed`].
    pub fn try_publish(&self, message: impl Into<Message<T>>) -> Result<usize, Error> {
        let queues = self.shared.queues.lock().clone().ok_or(Error::Closed)?;
        let mut permits = Vec::with_capacity(queues.len());
        for queue in queues.iter() {
            match queue.sender.try_reserve() {
                Ok(permit) => permits.push((permit, &queue.ledger)),
                Err(mpsc::error::TrySendError::Full(())) => {
                    return Err(Error::Full { subscriber: Arc::clone(&queue.subscriber) });
                }
                Err(mpsc::error::TrySendError::Closed(())) => {}
            }
        }
        self.shared.send(&message.into(), permits)
    }
}

type Permit<'a, T> = (mpsc::Permit<'a, Message<T>>, &'a Arc<Ledger>);

impl<T> Shared<T> {
    pub(super) fn new(
        name: Arc<str>,
        totals: Arc<Totals>,
        closed: CancellationToken,
        aborted: CancellationToken,
    ) -> Self {
        let queues = Mutex::new(Some(Arc::from([])));
        Self { name, aborted, queues, published: AtomicU64::new(0), totals, closed }
    }

    /// Takes room in every queue first, then sends without waiting: all get the message, or none.
    ///
    /// Publishers wait for the queues in the same order, so none waits for another that waits for it.
    async fn publish(
        &self,
        message: Message<T>,
        waiting_for: &Mutex<Option<Arc<str>>>,
    ) -> Result<usize, Error>
    where
        T: Clone,
    {
        let queues = self.queues.lock().clone().ok_or(Error::Closed)?;
        let mut permits = Vec::with_capacity(queues.len());
        for queue in queues.iter() {
            let permit = match queue.sender.try_reserve() {
                Err(mpsc::error::TrySendError::Full(())) => {
                    *waiting_for.lock() = Some(Arc::clone(&queue.subscriber));
                    tokio::select! {
                        permit = queue.sender.reserve() => permit.ok(),
                        () = self.closed.cancelled() => return Err(Error::Closed),
                    }
                }
                permit => permit.ok(),
            };
            // Whoever has dropped the subscription meanwhile is left out.
            permits.extend(permit.map(|permit| (permit, &queue.ledger)));
        }
        self.send(&message, permits)
    }

    fn send(&self, message: &Message<T>, permits: Vec<Permit<'_, T>>) -> Result<usize, Error>
    where
        T: Clone,
    {
        // IMPORTANT: Send under the lock, so that all subscribers see one order and nothing is sent after closing.
        let queues = self.queues.lock();
        if queues.is_none() {
            return Err(Error::Closed);
        }
        let mut subscribers = 0;
        for (permit, ledger) in permits.into_iter().filter(|(_, ledger)| !ledger.gone.load(Ordering::Acquire))
        {
            subscribers += 1;
            ledger.accept();
            permit.send(message.clone());
        }
        self.published.fetch_add(1, Ordering::AcqRel);
        drop(queues);
        Ok(subscribers)
    }

    pub(super) fn unsubscribe(&self, ledger: &Arc<Ledger>) {
        let mut queues = self.queues.lock();
        ledger.gone.store(true, Ordering::Release);
        if let Some(present) = queues.take() {
            let rest = present.iter().filter(|queue| !Arc::ptr_eq(&queue.ledger, ledger));
            *queues = Some(rest.cloned().collect());
        }
    }
}

impl<T: Clone + Send + Sync + 'static> AnyTopic for Shared<T> {
    fn close(&self) {
        // Dropping the senders ends each subscription once its queue is empty.
        drop(self.queues.lock().take());
    }

    fn metrics(&self) -> TopicMetrics {
        let queues = self.queues.lock().clone();
        let subscriptions = queues.iter().flat_map(|queues| queues.iter()).map(Queue::metrics).collect();
        TopicMetrics { topic: Arc::clone(&self.name), published: get(&self.published), subscriptions }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<T> Queue<T> {
    fn metrics(&self) -> SubscriptionMetrics {
        let counters = &self.ledger.own;
        SubscriptionMetrics {
            subscriber: Arc::clone(&self.subscriber),
            depth: counters.depth(),
            capacity: self.sender.max_capacity(),
            delivered: get(&counters.delivered),
            redelivered: get(&counters.redelivered),
            dead: get(&counters.dead),
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        let (subscriber, ledger) = (Arc::clone(&self.subscriber), Arc::clone(&self.ledger));
        Self { subscriber, sender: self.sender.clone(), ledger }
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> std::fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
