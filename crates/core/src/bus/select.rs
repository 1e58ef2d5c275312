use std::sync::Arc;

use super::hub::{Mutex, Turns};
use super::topic::Shared;
use super::{Error, Options, Subscription, Topic};

/// Several topics of one bus as one subscription.
///
/// A message of a topic with a smaller priority number is given before those of others; topics of the same priority
/// take turns. Each topic in which messages wait is served at least once in a stated number of messages. Order is
/// kept within a topic.
///
/// # Examples
/// ```
/// use steadfast_core::bus::{Bus, Options, Select};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::bus::Error> {
/// let bus = Bus::new();
/// let (orders, alarms) = (bus.topic("orders")?, bus.topic("alarms")?);
/// let mut both = Select::new("operator")
///     .topic(&alarms, 0, Options::new(16))
///     .topic(&orders, 1, Options::new(16))
///     .subscribe()?;
/// orders.publish("order 1").await?;
/// alarms.publish("fire").await?;
/// let first = both.next().await.expect("the bus is open");
/// assert_eq!((first.topic(), *first.payload()), ("alarms", "fire"));
/// # Ok(()) }
/// ```
#[must_use]
pub struct Select<T> {
    subscriber: Arc<str>,
    topics: Vec<(Arc<Shared<T>>, u32, Options<T>)>,
    starve_after: u32,
}

impl<T: Clone + Send + Sync + 'static> Select<T> {
    /// Begins a subscription named `subscriber`.
    pub fn new(subscriber: impl Into<Arc<str>>) -> Self {
        Self { subscriber: subscriber.into(), topics: Vec::new(), starve_after: 32 }
    }

    /// Adds a topic; 0 is the most urgent priority. `options` are those of its own queue.
    pub fn topic(mut self, topic: &Topic<T>, priority: u32, options: Options<T>) -> Self {
        self.topics.push((Arc::clone(topic.shared()), priority, options));
        self
    }

    /// Replaces in how many messages each topic in which messages wait is served at least once; without it, in 32.
    /// It is never less than there are topics.
    pub fn starve_after(mut self, messages: u32) -> Self {
        self.starve_after = messages;
        self
    }

    /// Subscribes to what is published from now on.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::OtherBus`] when the topics are of several buses; [`Error::NoTopic`] when there
    /// is none.
    pub fn subscribe(self) -> Result<Subscription<T>, Error> {
        let Self { subscriber, topics, starve_after } = self;
        let bell = topics.first().map(|(topic, ..)| topic.hub.bell()).ok_or(Error::NoTopic)?;
        if let Some((other, ..)) = topics.iter().find(|(topic, ..)| !Arc::ptr_eq(topic.hub.bell(), bell)) {
            return Err(Error::OtherBus { topic: Arc::clone(&other.name) });
        }
        let turns = (topics.len() > 1)
            .then(|| Mutex::new(Turns::new(topics.iter().map(|(_, priority, _)| *priority), starve_after)));
        let batch_max = topics.iter().map(|(.., options)| options.batch_max()).min().unwrap_or(1);
        let batch_max = if turns.is_some() { 1 } else { batch_max };
        let aborted = topics[0].0.aborted.clone();
        let (mut names, mut intakes) = (Vec::new(), Vec::new());
        for (topic, _, options) in topics {
            intakes.push(topic.attach(Arc::clone(&subscriber), options)?);
            names.push(Arc::clone(&topic.name));
        }
        Ok(Subscription::new(super::feed::Feed { subscriber, names, intakes, turns, batch_max, aborted }))
    }
}

impl<T> std::fmt::Debug for Select<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Select").field("subscriber", &self.subscriber).finish_non_exhaustive()
    }
}
