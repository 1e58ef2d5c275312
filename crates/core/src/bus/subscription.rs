use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::Classify;
use tokio::time::Instant;
use tower::Service;

use super::feed::Feed;
use crate::delivery::{
    DeadLettersError, Delivery, Dispatcher, Handling, HandlingMetrics, Inlet, Replay, Replayed, Settled,
};

/// One subscriber's queue. Dropping it, and all its [competitors](Self::competitor), unsubscribes and abandons what
/// is queued or in hand.
pub struct Subscription<T: Send + Sync> {
    feed: Arc<Feed<T>>,
    dispatcher: Dispatcher<T, Feed<T>>,
}

impl<T: Clone + Send + Sync + 'static> Subscription<T> {
    pub(super) fn new(feed: Feed<T>) -> Self {
        let feed = Arc::new(feed);
        Self { dispatcher: dispatcher(&feed, Handling::default()), feed }
    }

    /// Replaces how messages are handled: their order, how many at the same time, how often they are repeated,
    /// where dead letters go. To be called before [`competitor`](Self::competitor), or each handles on its own.
    #[must_use]
    pub fn handling(self, handling: Handling<T>) -> Self {
        Self { dispatcher: dispatcher(&self.feed, handling), feed: self.feed }
    }

    /// Makes another handle on the same queue: each message goes to one of them. Order and the limit of handlers at
    /// work hold over all that run.
    #[must_use]
    pub fn competitor(&self) -> Self {
        Self { feed: Arc::clone(&self.feed), dispatcher: self.dispatcher.clone() }
    }

    /// Takes the next message from the queue; it counts as handled. Returns none once the bus is closed and the
    /// queue empty.
    ///
    /// What a run that was dropped had in hand is not in the queue any more: the next run goes on with it.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Delivery<T>> {
        let (message, ticket) = self.feed.next().await?;
        self.feed.settle(ticket, Settled::Handled);
        Some(Delivery::new(message, Arc::clone(self.feed.topic(ticket)), 1, None, Instant::now()))
    }

    /// Gives each message to `handler` as the [`Handling`] says, until the bus is closed and the queue empty, or the
    /// time for closing is over. See [`Dispatcher::run`].
    ///
    /// A handler that panics is used again: keep its state whole.
    ///
    /// # Cancel safety
    /// Dropping the future fails the attempts under way; their messages stay in hand and are given again when the
    /// subscription is run again.
    pub async fn run<S>(&self, handler: S)
    where
        S: Service<Delivery<T>>,
        S::Error: Classify + Display,
    {
        self.until_aborted(self.dispatcher.run(handler)).await;
    }

    /// Gives each message to an async function, as [`run`](Self::run) does.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_fn<F, R, E>(&self, handler: F)
    where
        F: FnMut(Delivery<T>) -> R,
        R: Future<Output = Result<(), E>>,
        E: Classify + Display,
    {
        self.until_aborted(self.dispatcher.run_fn(handler)).await;
    }

    /// Gives messages to `handler` in batches, as [`Dispatcher::run_batches`] does, until [`run`](Self::run) would
    /// end.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_batches<S>(&self, handler: S, size_max: usize, within: Duration)
    where
        S: Service<Vec<Delivery<T>>>,
        S::Error: Classify + Display,
    {
        self.until_aborted(self.dispatcher.run_batches(handler, size_max, within)).await;
    }

    /// Gives dead letters, and those parked behind them, to the handlers that run; see [`Dispatcher::replay`]. Call
    /// it on a [`competitor`](Self::competitor) while the subscription runs elsewhere.
    ///
    /// # Errors
    /// What listing the dead letters fails with; letters that were handled before are removed.
    ///
    /// # Cancel safety
    /// Dropping the future ends the replay after the letters that handlers have in hand.
    pub async fn replay(&self, which: Replay) -> Result<Replayed, DeadLettersError> {
        self.dispatcher.replay(which).await
    }

    /// Returns what handlers did and have in hand; what is queued is in [`Bus::metrics`](super::Bus::metrics).
    pub fn metrics(&self) -> HandlingMetrics {
        self.dispatcher.metrics()
    }

    async fn until_aborted(&self, run: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.feed.aborted.cancelled() => {}
            () = run => {}
        }
    }
}

fn dispatcher<T>(feed: &Arc<Feed<T>>, handling: Handling<T>) -> Dispatcher<T, Feed<T>>
where
    T: Clone + Send + Sync + 'static,
{
    Dispatcher::new(Arc::clone(feed), feed.names.join(","), Arc::clone(&feed.subscriber), handling)
}

impl<T: Send + Sync> std::fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("subscriber", &self.feed.subscriber)
            .field("topics", &self.feed.names)
            .finish_non_exhaustive()
    }
}
