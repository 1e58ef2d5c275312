use std::any::Any;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use steadfast_base::Deadline;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::hub::{Bell, Hub, Intake, Publishing, Sums};
use super::owner::AnyTopic;
use super::{Error, Message, Options, Subscription, TopicMetrics, trace};

/// A named place where messages of one type are published to all who subscribe; cloning gives another handle.
pub struct Topic<T> {
    shared: Arc<Shared<T>>,
}

pub(super) struct Shared<T> {
    pub(super) name: Arc<str>,
    pub(super) hub: Arc<Hub<Message<T>>>,
    pub(super) aborted: CancellationToken,
}

impl<T: Clone + Send + Sync + 'static> Topic<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Returns the topic's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Subscribes to what is published from now on, as `subscriber`, with room for `capacity` messages, besides
    /// those in hand; publishers wait while it is full. It is short for [`subscribe_with`](Self::subscribe_with).
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
        self.subscribe_with(subscriber, Options::new(capacity))
    }

    /// Subscribes to what is published from now on, as `subscriber`, with a queue as `options` say.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn subscribe_with(
        &self,
        subscriber: impl Into<Arc<str>>,
        options: Options<T>,
    ) -> Result<Subscription<T>, Error> {
        super::Select::new(subscriber).topic(self, 0, options).subscribe()
    }

    /// Publishes a message to all who want it and returns how many took it; waits while a queue that makes
    /// publishers [wait](super::Overflow::Wait) is full.
    ///
    /// # Errors
    /// [`Error::Closed`], also when the bus closes while this waits; [`Error::Full`] when a queue
    /// [rejects](super::Overflow::RejectNew) it. Nobody got the message then.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready publishes to nobody.
    pub async fn publish(&self, message: impl Into<Message<T>>) -> Result<usize, Error> {
        let span = trace::publishing(&self.shared.name, None);
        let mut cargo = Some(message.into());
        let publishing = Publishing::new(&self.shared.hub, &mut cargo);
        // Not even an empty span is entered and left where nobody traces.
        if span.is_disabled() { publishing.await } else { publishing.instrument(span).await }
    }

    /// Publishes a message to all who want it as [`publish`](Self::publish) does, if there is room until
    /// `deadline`.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`], then nobody got the message; else as [`publish`](Self::publish).
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready publishes to nobody.
    pub async fn publish_within(
        &self,
        message: impl Into<Message<T>>,
        deadline: Deadline,
    ) -> Result<usize, Error> {
        let span = trace::publishing(&self.shared.name, None);
        let mut cargo = Some(message.into());
        let mut publishing = pin!(Publishing::new(&self.shared.hub, &mut cargo));
        match tokio::time::timeout_at(deadline.instant(), publishing.as_mut()).instrument(span).await {
            Ok(published) => published,
            Err(_) => Err(Error::DeadlineExceeded { subscriber: publishing.waits_for() }),
        }
    }

    /// Publishes a message to all who want it if all have room now, and returns how many took it.
    ///
    /// # Errors
    /// [`Error::Full`], then nobody got the message; [`Error::Closed`].
    pub fn try_publish(&self, message: impl Into<Message<T>>) -> Result<usize, Error> {
        let span = trace::publishing(&self.shared.name, None);
        let _entered = span.enter();
        Publishing::new(&self.shared.hub, &mut Some(message.into())).now()
    }

    /// Publishes the messages of `batch` one after the other, and returns how many they were; waits while a queue
    /// that makes publishers [wait](super::Overflow::Wait) is full. As many as there is room for are published at
    /// once, at the cost of one lock.
    ///
    /// What is published is taken out of `batch`; what is still in it when this fails or is dropped was published
    /// to nobody.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    /// Dropping the future leaves in `batch` what was not published.
    ///
    /// # Examples
    /// ```
    /// # use std::collections::VecDeque;
    /// # use steadfast_core::bus::{Bus, Error, Message};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let bus = Bus::new();
    /// let topic = bus.topic::<u32>("numbers")?;
    /// let mut subscription = topic.subscribe("s", 16)?;
    /// let mut batch: VecDeque<_> = (1..=3).map(Message::new).collect();
    /// assert_eq!(topic.publish_batch(&mut batch).await?, 3);
    /// assert!(batch.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn publish_batch(&self, batch: &mut VecDeque<Message<T>>) -> Result<usize, Error> {
        let count = batch.len();
        let span = trace::publishing(&self.shared.name, Some(count));
        Publishing::new(&self.shared.hub, batch).instrument(span).await?;
        Ok(count)
    }

    pub(super) fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }
}

impl<T> Shared<T> {
    pub(super) fn new(name: Arc<str>, bell: Arc<Bell>, aborted: CancellationToken) -> Self {
        Self { name, hub: Arc::new(Hub::new(bell)), aborted }
    }

    pub(super) fn attach(
        &self,
        subscriber: Arc<str>,
        options: Options<T>,
    ) -> Result<Intake<Message<T>>, Error>
    where
        T: 'static,
    {
        Intake::attach(Arc::clone(&self.hub), options.terms(subscriber)).ok_or(Error::Closed)
    }
}

impl<T: Clone + Send + Sync + 'static> AnyTopic for Shared<T> {
    fn close(&self) {
        self.hub.close();
    }

    fn metrics(&self) -> TopicMetrics {
        let subscriptions = self.hub.counts().into_iter().map(Into::into).collect();
        TopicMetrics { topic: Arc::clone(&self.name), published: self.hub.published(), subscriptions }
    }

    fn sums(&self) -> Sums {
        self.hub.sums()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
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
