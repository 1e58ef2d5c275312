use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::Classify;
use tower::{Service, service_fn};

use super::caller::{Batched, Caller, Single};
use super::shared::Shared;
use super::{
    DeadLettersError, Delivery, Handling, HandlingMetrics, Inlet, Order, Replay, Replayed, line, pool,
};

/// Gives the messages of an [`Inlet`] to handlers, and says what became of each; cloning gives another handle.
///
/// Each [`run`](Self::run) is one consumer. Several may run at the same time and compete for the messages; order and
/// concurrency limit hold over all of them together. What a handler had in hand when its run was dropped goes to the
/// next run, its attempt counted. What is in hand when the last handle is dropped goes back to the inlet as
/// [`Settled::Released`](super::Settled::Released), in the order in which it was drawn.
///
/// # Cancel safety
/// Dropping the future of a run drops the handlers at work: their attempts have failed.
///
/// # Examples
/// See [`run_fn`](Self::run_fn).
pub struct Dispatcher<T, I: Inlet<T>> {
    shared: Arc<Shared<T, I>>,
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Dispatcher<T, I> {
    /// Makes a dispatcher for what `subscriber` gets from `destination` through `inlet`.
    pub fn new(
        inlet: Arc<I>,
        destination: impl Into<Arc<str>>,
        subscriber: impl Into<Arc<str>>,
        handling: Handling<T>,
    ) -> Self {
        Self { shared: Arc::new(Shared::new(inlet, destination.into(), subscriber.into(), handling)) }
    }

    /// Gives each message to `handler` until the inlet has ended and nothing is in hand.
    ///
    /// The handler is called when it is [ready](Service::poll_ready); while it is not, nothing is drawn, and the
    /// time of no attempt runs. A handler that panics is used again: keep its state whole.
    ///
    /// # Cancel safety
    /// Dropping the future fails the attempts under way; no message is lost.
    pub async fn run<S>(&self, handler: S)
    where
        S: Service<Delivery<T>>,
        S::Error: Classify + Display,
    {
        self.drive(Single(handler)).await;
    }

    /// Gives each message to an async function, as [`run`](Self::run) does.
    ///
    /// # Cancel safety
    /// Dropping the future fails the attempts under way; no message is lost.
    pub async fn run_fn<F, R, E>(&self, handler: F)
    where
        F: FnMut(Delivery<T>) -> R,
        R: Future<Output = Result<(), E>>,
        E: Classify + Display,
    {
        self.drive(Single(service_fn(handler))).await;
    }

    /// Gives messages to `handler` in batches of up to `size_max` (0 counts as 1), or of those that came within
    /// `within` after the first, until the inlet has ended and nothing is in hand.
    ///
    /// Deliveries of a batch stand in order. An error fails all of them: they are given again together, and each
    /// counts its own attempts. A batch counts as one handler at work.
    ///
    /// # Cancel safety
    /// Dropping the future fails the attempts under way; no message is lost.
    pub async fn run_batches<S>(&self, handler: S, size_max: usize, within: Duration)
    where
        S: Service<Vec<Delivery<T>>>,
        S::Error: Classify + Display,
    {
        self.drive(Batched { service: handler, size_max, within }).await;
    }

    /// Gives dead letters, and those parked behind them, to the handlers that run, and removes those that are
    /// handled. It returns when all that `which` names were tried.
    ///
    /// Letters of one partition key are given in order; where one fails again, those behind it stay. Under
    /// [`Order::PerKey`] messages of the key that come meanwhile are handled after the last of its letters, so order
    /// holds throughout, and the key is no longer parked then. Under the other orders letters are given among the
    /// messages that come. One replay goes on at a time; it waits as long as nothing runs.
    ///
    /// # Errors
    /// What [`DeadLetters::list`](super::DeadLetters::list) returns; letters that were handled before are removed.
    ///
    /// # Cancel safety
    /// Dropping the future ends the replay after the letters that handlers have in hand.
    pub async fn replay(&self, which: Replay) -> Result<Replayed, DeadLettersError> {
        self.shared.replay(which).await
    }

    /// Returns what was done so far and what is in hand.
    pub fn metrics(&self) -> HandlingMetrics {
        self.shared.metrics()
    }

    #[cfg(test)]
    pub(super) fn handling(&self) -> &Handling<T> {
        &self.shared.handling
    }

    async fn drive<C: Caller<T>>(&self, mut caller: C) {
        match self.shared.handling.order {
            Order::Total => line::run(&self.shared, &mut caller).await,
            Order::PerKey | Order::None => pool::run(&self.shared, &mut caller).await,
        }
    }
}

impl<T, I: Inlet<T>> Clone for Dispatcher<T, I> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, I: Inlet<T>> std::fmt::Debug for Dispatcher<T, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("destination", &self.shared.destination)
            .field("subscriber", &self.shared.subscriber)
            .finish_non_exhaustive()
    }
}
