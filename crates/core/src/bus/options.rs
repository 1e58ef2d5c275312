use std::borrow::Borrow;
use std::sync::Arc;

use super::hub::{Laned, Terms, Wanted};
use super::{Filter, Message, Overflow};
use crate::Event;

/// What a subscriber wants of a topic, and how much of it may wait.
///
/// Filters and the rule of lanes are asked while a message is being published: they must be quick, and must neither
/// block nor publish.
///
/// # Examples
/// ```
/// use steadfast_core::Event;
/// use steadfast_core::bus::{Bus, Filter, Options, Overflow};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::bus::Error> {
/// let bus = Bus::new();
/// let topic = bus.topic::<Event>("events")?;
/// let options = Options::new(2).overflow(Overflow::DropOldest).events(Filter::default().kind("order.*"));
/// let mut recent = topic.subscribe_with("recent orders", options)?;
/// for kind in ["order.created", "payment.made", "order.shipped", "order.closed"] {
///     topic.publish(Event::new("/shop", kind).build()).await?;
/// }
/// let delivery = recent.next().await.expect("the bus is open");
/// assert_eq!(delivery.payload().kind(), "order.shipped");
/// # Ok(()) }
/// ```
pub struct Options<T> {
    capacity: usize,
    overflow: Overflow,
    filter: Option<Wanted<Message<T>>>,
    lanes: Option<Laned<Message<T>>>,
}

impl<T: 'static> Options<T> {
    /// Wants everything, with room for `capacity` messages, besides those that handlers have in hand; publishers
    /// wait while it is full.
    ///
    /// A capacity of 0 is a rendezvous: a message is published when a consumer waits for it.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, overflow: Overflow::Wait, filter: None, lanes: None }
    }

    /// Replaces what happens while the queue is full.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Wants only messages that this too says yes to; others take no room.
    #[must_use]
    pub fn filter(mut self, wanted: impl Fn(&Message<T>) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(match self.filter {
            None => Arc::new(wanted),
            Some(before) => Arc::new(move |message| before(message) && wanted(message)),
        });
        self
    }

    /// Sorts messages by `rule` into `count` lanes, of which 0 is the most urgent; a number too high means the last.
    /// There is room for as many messages as the capacity says in each lane.
    ///
    /// A message of a more urgent lane is given before all others, but each lane in which messages wait is served
    /// at least once in `starve_after` messages, or in `count` if that is more. Order is kept within a lane.
    #[must_use]
    pub fn lanes(
        mut self,
        count: usize,
        starve_after: u32,
        rule: impl Fn(&Message<T>) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.lanes = Some(Laned { count, starve_after, rule: Arc::new(rule) });
        self
    }

    /// How many messages a consumer may take at once: so few that what it has in hand is little beside what may
    /// wait, and one where a more urgent one could come.
    pub(super) fn batch_max(&self) -> usize {
        if self.lanes.is_some() { 1 } else { (self.capacity / 8).max(1) }
    }

    pub(super) fn terms(self, subscriber: Arc<str>) -> Terms<Message<T>> {
        let Self { capacity, overflow, filter, lanes } = self;
        Terms { subscriber, capacity, overflow, filter, lanes }
    }
}

impl<T: Borrow<Event> + 'static> Options<T> {
    /// Wants only these events, of a topic of `Event` or `Arc<Event>`; others take no room.
    #[must_use]
    pub fn events(self, filter: Filter) -> Self {
        self.filter(move |message| filter.matches(message.payload().borrow()))
    }
}

impl<T> std::fmt::Debug for Options<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("capacity", &self.capacity)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}
