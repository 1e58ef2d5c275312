use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio::time::Instant;

use super::item::{Item, Origin};
use super::letters::{Fate, Letter, LetterId};
use super::line::Line;
use super::metrics::Counters;
use super::replay::LETTERS_MAX;
use super::table::Table;
use super::{Delivery, Envelope, Handling, HandlingMetrics, Inlet, Message, Order, Settled};

/// Longer than anybody waits, and never too long to be added to the time.
pub(super) const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// What all runs of one dispatcher share.
pub(super) struct Shared<T, I: Inlet<T>> {
    pub(super) inlet: Arc<I>,
    pub(super) destination: Arc<str>,
    pub(super) subscriber: Arc<str>,
    pub(super) handling: Handling<T>,
    pub(super) attempts_max: u32,
    /// The time of one attempt, cut so that a deadline can always be told.
    pub(super) attempt_timeout: Duration,
    pub(super) counters: Counters,
    /// What is in hand under order `Total`; the lock is the turn.
    pub(super) line: tokio::sync::Mutex<Line<T, I::Ticket>>,
    /// What is in hand under the other orders.
    pub(super) table: Mutex<Table<T, I::Ticket>>,
    /// What was drawn and is not in the table yet; the lock is the turn to draw.
    pub(super) drawn: tokio::sync::Mutex<Vec<Envelope<T, I::Ticket>>>,
    /// The keys that were parked before the process started are in the table.
    pub(super) parked_known: OnceCell<()>,
    /// A message of a parked key is no longer being parked.
    pub(super) parked_changed: Notify,
    /// Letters that are to be replayed under order `Total`, and the word that there are some.
    pub(super) offers: Mutex<VecDeque<Item<T, I::Ticket>>>,
    pub(super) offered: Notify,
    /// The turn to replay, and a permit for each letter that is in hand.
    pub(super) replaying: tokio::sync::Mutex<()>,
    pub(super) letters: Arc<Semaphore>,
    born: Instant,
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Shared<T, I> {
    pub(super) fn new(
        inlet: Arc<I>,
        destination: Arc<str>,
        subscriber: Arc<str>,
        handling: Handling<T>,
    ) -> Self {
        Self {
            inlet,
            attempts_max: handling.redelivery.attempts_max.max(1),
            attempt_timeout: handling.redelivery.attempt_timeout.min(FAR),
            counters: Counters::default(),
            line: tokio::sync::Mutex::new(Line::new(handling.redelivery.seed.rng())),
            table: Mutex::new(Table::new(&handling, &destination, &subscriber)),
            drawn: tokio::sync::Mutex::default(),
            parked_known: OnceCell::new(),
            parked_changed: Notify::new(),
            offers: Mutex::default(),
            offered: Notify::new(),
            replaying: tokio::sync::Mutex::default(),
            letters: Arc::new(Semaphore::new(LETTERS_MAX)),
            destination,
            subscriber,
            handling,
            born: Instant::now(),
        }
    }

    pub(super) fn metrics(&self) -> HandlingMetrics {
        let mut metrics = self.counters.snapshot(self.born);
        if self.handling.order != Order::Total {
            let table = self.table.lock();
            metrics.in_flight = table.running;
            let now = Instant::now();
            metrics.oldest_in_flight = table.oldest().map(|since| now.saturating_duration_since(since));
        }
        metrics
    }

    /// Notes that a handler began, or that none is at work.
    pub(super) fn at_work(&self, since: Option<Instant>) {
        let since = since.map_or(0, |since| since.saturating_duration_since(self.born).as_nanos() as u64 + 1);
        self.counters.since.set(since);
    }

    pub(super) fn delivery(
        &self,
        item: &Item<T, I::Ticket>,
        first: Instant,
        deadline: Instant,
    ) -> Delivery<T> {
        let place = match &item.origin {
            Origin::Inlet(ticket) => self.inlet.destination(ticket),
            Origin::Letter(_) => None,
        };
        let place = Arc::clone(place.unwrap_or(&self.destination));
        Delivery::new(item.message.clone(), place, item.attempts, Some(Deadline::at(deadline)), first)
    }

    /// Counts the attempt that is about to be made, if it is a repetition.
    pub(super) fn count_attempt(&self, item: &Item<T, I::Ticket>) {
        if item.attempts > 1 {
            self.counters.retries.add(1);
            if let Origin::Inlet(ticket) = &item.origin {
                self.inlet.repeated(ticket);
            }
        }
    }

    pub(super) fn letter(&self, message: &Message<T>, fate: Fate) -> Letter<T> {
        Letter {
            id: LetterId::default(),
            destination: Arc::clone(&self.destination),
            subscriber: Arc::clone(&self.subscriber),
            message: message.clone(),
            fate,
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.handling.clock.now()
    }
}

impl<T, I: Inlet<T>> Drop for Shared<T, I> {
    fn drop(&mut self) {
        let in_hand = self.line.get_mut().take().into_iter().chain(self.table.get_mut().take_all());
        let drawn = self.drawn.get_mut().drain(..).map(Item::from);
        for item in in_hand.chain(drawn) {
            if let Origin::Inlet(ticket) = item.origin {
                self.inlet.settle(ticket, Settled::Released);
            }
        }
    }
}
