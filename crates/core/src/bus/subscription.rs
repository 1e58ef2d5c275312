use std::fmt::Display;
use std::sync::Arc;

use steadfast_base::{Classify, Deadline, Rng};
use tokio::sync::mpsc;
use tower::Service;

use super::metrics::Ledger;
use super::topic::Shared;
use crate::delivery::{DeadLetter, Delivery, Failure, Message, Redelivery, attempt};

/// One subscriber's queue. Dropping it unsubscribes and abandons what is queued.
pub struct Subscription<T> {
    topic: Arc<Shared<T>>,
    receiver: mpsc::Receiver<Message<T>>,
    ledger: Arc<Ledger>,
    redelivery: Redelivery,
    rng: Rng,
    bury: Arc<dyn Fn(DeadLetter<T>) + Send + Sync>,
    /// The message that a handler has in hand; it stays here if the handler is dropped.
    current: Option<(Message<T>, u32)>,
}

impl<T: Clone + 'static> Subscription<T> {
    pub(super) fn new(
        topic: Arc<Shared<T>>,
        receiver: mpsc::Receiver<Message<T>>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let redelivery = Redelivery::default();
        let rng = redelivery.seed.rng();
        Self { topic, receiver, ledger, redelivery, rng, bury: Arc::new(report), current: None }
    }

    /// Replaces the policy of redelivery.
    #[must_use]
    pub fn redelivery(mut self, redelivery: Redelivery) -> Self {
        self.rng = redelivery.seed.rng();
        self.redelivery = redelivery;
        self
    }

    /// Replaces what is done with messages that could not be delivered: without it, they are logged. The hook must
    /// not block.
    #[must_use]
    pub fn dead_letters(mut self, hook: impl Fn(DeadLetter<T>) + Send + Sync + 'static) -> Self {
        self.bury = Arc::new(hook);
        self
    }

    /// Takes the next message; it counts as delivered. Returns none once the bus is closed and the queue empty.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Delivery<T>> {
        let (message, attempts) = match self.current.take() {
            Some(current) => current,
            None => (self.receiver.recv().await?, 0),
        };
        self.ledger.deliver();
        Some(Delivery::new(
            message,
            Arc::clone(&self.topic.name),
            attempts + 1,
            None,
            tokio::time::Instant::now(),
        ))
    }

    /// Gives each message to `handler`, one after the other, until the bus is closed and the queue empty, or the
    /// time for closing is over. A message that fails is given again as the [`Redelivery`] says, before any other,
    /// so that order is kept; then it becomes a [`DeadLetter`].
    ///
    /// A handler that panics is used again: keep its state whole.
    ///
    /// # Cancel safety
    /// Dropping the future fails the attempt under way; the message stays in hand and is given again when the
    /// subscription is run again.
    pub async fn run<S>(&mut self, mut handler: S)
    where
        S: Service<Delivery<T>>,
        S::Error: Classify + Display,
    {
        let aborted = self.topic.aborted.clone();
        tokio::select! {
            biased;
            () = aborted.cancelled() => {}
            () = self.handle_all(&mut handler) => {}
        }
    }

    async fn handle_all<S>(&mut self, handler: &mut S)
    where
        S: Service<Delivery<T>>,
        S::Error: Classify + Display,
    {
        loop {
            if self.current.is_none() {
                let Some(message) = self.receiver.recv().await else { return };
                self.current = Some((message, 0));
            }
            self.handle_current(handler).await;
        }
    }

    async fn handle_current<S>(&mut self, handler: &mut S)
    where
        S: Service<Delivery<T>>,
        S::Error: Classify + Display,
    {
        let attempts_max = self.redelivery.attempts_max.max(1);
        while let Some((message, attempts)) = &mut self.current {
            let deadline = Deadline::within(self.redelivery.attempt_timeout);
            let topic = Arc::clone(&self.topic.name);
            // The last attempt was dropped, if this is true; elsewhere the message has left the hand by then.
            if *attempts >= attempts_max {
                let delivery =
                    Delivery::new(message.clone(), topic, *attempts, None, tokio::time::Instant::now());
                self.give_up(delivery, "the handler was dropped".to_owned());
                return;
            }
            *attempts += 1;
            if *attempts > 1 {
                self.ledger.redeliver();
            }
            let attempts = *attempts;
            let delivery =
                Delivery::new(message.clone(), topic, attempts, Some(deadline), tokio::time::Instant::now());
            let Err(Failure { reason, retryable, retry_after }) =
                attempt(handler, delivery.clone(), deadline).await
            else {
                self.current = None;
                self.ledger.deliver();
                return;
            };
            if !retryable || attempts == attempts_max {
                self.give_up(delivery, reason);
                return;
            }
            tracing::debug!(topic = delivery.topic(), attempts, reason, "a handler failed");
            let wait = self.redelivery.backoff.delay(attempts - 1, &mut self.rng);
            tokio::time::sleep(wait.max(retry_after)).await;
        }
    }

    fn give_up(&mut self, delivery: Delivery<T>, reason: String) {
        self.current = None;
        self.ledger.bury();
        (self.bury)(DeadLetter { delivery, reason });
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.topic.unsubscribe(&self.ledger);
        self.receiver.close();
        let mut left = u64::from(self.current.is_some());
        while self.receiver.try_recv().is_ok() {
            left += 1;
        }
        self.ledger.abandon(left);
    }
}

impl<T> std::fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("topic", &self.topic.name)
            .field("queued", &self.receiver.len())
            .finish_non_exhaustive()
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the hook takes the letter")]
fn report<T>(letter: DeadLetter<T>) {
    let DeadLetter { delivery, reason } = letter;
    tracing::error!(topic = delivery.topic(), attempts = delivery.attempt(), reason, "a message is dead");
}
