use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::letters::{Fate, Letter, LetterId};
use super::line::Line;
use super::metrics::Counters;
use super::{Delivery, Handling, HandlingMetrics, Inlet, Message, Settled};

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
    pub(super) line: tokio::sync::Mutex<Line<T, I::Ticket>>,
    born: Instant,
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Shared<T, I> {
    pub(super) fn new(
        inlet: Arc<I>,
        destination: Arc<str>,
        subscriber: Arc<str>,
        handling: Handling<T>,
    ) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        Self {
            inlet,
            destination,
            subscriber,
            attempts_max: handling.redelivery.attempts_max.max(1),
            attempt_timeout: handling.redelivery.attempt_timeout.min(FAR),
            counters: Counters::default(),
            line: tokio::sync::Mutex::new(Line::new(handling.redelivery.seed.rng())),
            handling,
            born: Instant::now(),
        }
    }

    pub(super) fn metrics(&self) -> HandlingMetrics {
        self.counters.snapshot(self.born)
    }

    /// Notes that a handler began, or that none is at work.
    pub(super) fn at_work(&self, since: Option<Instant>) {
        let since = since.map_or(0, |since| since.saturating_duration_since(self.born).as_nanos() as u64 + 1);
        self.counters.since.set(since);
    }

    pub(super) fn delivery(
        &self,
        message: &Message<T>,
        attempt: u32,
        first: Instant,
        now: Instant,
    ) -> Delivery<T> {
        let deadline = steadfast_base::Deadline::at(now + self.attempt_timeout);
        Delivery::new(message.clone(), Arc::clone(&self.destination), attempt, Some(deadline), first)
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

    /// Keeps a letter; goes on until it is kept, for a message must not be settled as dead before.
    pub(super) async fn keep(&self, letter: &Letter<T>) -> LetterId {
        let backoff = self.handling.redelivery.backoff;
        let mut rng = self.handling.redelivery.seed.stream("dead letters");
        let mut failures = 0;
        loop {
            let put = self.handling.dead_letters.put(letter);
            let error = match tokio::time::timeout(self.attempt_timeout, put).await {
                Ok(Ok(id)) => return id,
                Ok(Err(error)) => error,
                Err(_) => super::letters::Error::unavailable("it took too long"),
            };
            tracing::warn!(
                destination = &*self.destination,
                subscriber = &*self.subscriber,
                %error,
                "a dead letter is not kept yet; its message waits"
            );
            tokio::time::sleep(backoff.delay(failures, &mut rng).max(Duration::from_millis(1))).await;
            failures = failures.saturating_add(1);
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.handling.clock.now()
    }
}

impl<T, I: Inlet<T>> Drop for Shared<T, I> {
    fn drop(&mut self) {
        for envelope in self.line.get_mut().take() {
            self.inlet.settle(envelope.ticket, Settled::Released);
        }
    }
}
