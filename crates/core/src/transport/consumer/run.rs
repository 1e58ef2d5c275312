use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast_base::{Backoff, Classify, Deadline};
use tokio_util::sync::CancellationToken;
use tower::{Service, service_fn};

use super::Report;
use super::inlet::ReceiverInlet;
use super::running::{Run, Runs};
use super::suspects::{Accused, Suspects};
use crate::Event;
use crate::delivery::{DeadLettersError, Delivery, Dispatcher, Handling, HandlingMetrics, Replay, Replayed};
use crate::transport::{Error, Receiver, Source, Subscribe};

/// Gives what a [`Source`] yields to handlers, and acknowledges an event only after a handler has succeeded or the
/// event is kept as a dead letter.
///
/// Each [`run`](Self::run) is one receiver of the group; several, in one process or in many, share the work where
/// the source has groups. What has become of events is told to the transport together and while handlers work; a
/// handler never waits for it.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::delivery::{Handling, Order};
/// use steadfast_core::transport::{Consumer, Source, Subscribe};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example(source: Arc<dyn Source>) -> Result<(), steadfast_core::transport::Error> {
/// let handling = Handling { order: Order::PerKey, ..Handling::default() };
/// let consumer = Consumer::new(source, Subscribe::new("shipping"), handling);
/// let stop = CancellationToken::new();
/// let report = consumer
///     .run_fn(
///         |delivery| async move {
///             println!("{}", delivery.payload().kind());
///             Ok::<(), steadfast_core::transport::Error>(())
///         },
///         stop,
///     )
///     .await?;
/// println!("{} handled", report.handled);
/// # Ok(()) }
/// ```
pub struct Consumer {
    source: Arc<dyn Source>,
    subscribe: Subscribe,
    handling: Handling<Event>,
    drain_max: Duration,
    backoff: Backoff,
    suspect_after: u32,
    accused: Arc<Accused>,
    /// Of the runs under way.
    runs: Runs,
    /// It has been said that nobody has chosen where dead letters go.
    warned: AtomicBool,
}

const UNCHOSEN: &str = "dead letters are only logged: an event that no attempt can deliver is acknowledged and lost; \
    set `Handling::dead_letters` (`LoggedDeadLetters` says that this is meant)";

impl Consumer {
    /// Makes a consumer that subscribes as `subscribe` says and handles as `handling` says; nothing is received
    /// before it runs. It drains for at most 10 s.
    pub fn new(source: Arc<dyn Source>, subscribe: Subscribe, handling: Handling<Event>) -> Self {
        let handling = Handling { system: source.system(), ..handling };
        Self {
            source,
            subscribe,
            handling,
            drain_max: Duration::from_secs(10),
            backoff: Backoff::default(),
            suspect_after: 3,
            accused: Arc::default(),
            runs: Runs::default(),
            warned: AtomicBool::new(false),
        }
    }

    /// Sets how long handlers may go on after a run is cancelled, with what they have in hand and with telling the
    /// transport.
    #[must_use]
    pub fn drain_within(mut self, drain_max: Duration) -> Self {
        self.drain_max = drain_max;
        self
    }

    /// Sets how long to wait before a connection that could not be made is tried again.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets after how many times that the transport has handed an event out before, as far as it counts, the event is
    /// suspected of killing its process; 3 without this, and 0 counts as 1.
    ///
    /// A suspect is attempted while nothing else is in hand, with a dead letter kept beforehand that is removed once it
    /// is handled. If the process dies once more, or the run is dropped, the event stays a dead letter and is not
    /// attempted again. That takes dead letters that outlive the process, such as
    /// [`StoredDeadLetters`](crate::delivery::StoredDeadLetters); without them such an event is attempted by one
    /// process after the other, without end.
    #[must_use]
    pub fn suspect_after(mut self, deliveries: u32) -> Self {
        self.suspect_after = deliveries;
        self
    }

    /// Gives each event to `handler` until `cancel` or until the source ends. It then receives no more, lets
    /// handlers finish, gives back what they could not, and closes the receiver. A source that is unavailable is
    /// asked again for as long as it takes.
    ///
    /// # Errors
    /// What opening a receiver or receiving fails with for good.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handlers at work; what is not acknowledged is received again.
    pub async fn run<S>(&self, handler: S, cancel: CancellationToken) -> Result<Report, Error>
    where
        S: Service<Delivery<Event>>,
        S::Error: Classify + Display,
    {
        if self.handling.dead_letters.is_unchosen() && !self.warned.swap(true, Ordering::Relaxed) {
            let (destination, group) = (self.source.destination(), &*self.subscribe.group);
            tracing::warn!(destination, group, "{UNCHOSEN}");
        }
        let Some(receiver) = self.open(&cancel).await? else { return Ok(Report::default()) };
        let seed = self.handling.redelivery.seed;
        let (destination, group) = (self.source.destination(), &self.subscribe.group);
        let suspects =
            Arc::new(Suspects::new(&self.handling, destination, group, self.suspect_after, &self.accused));
        let handling = Handling { dead_letters: Arc::clone(&suspects) as _, ..self.handling.clone() };
        let inlet = ReceiverInlet::new(receiver, cancel.clone(), self.backoff, seed, suspects);
        let inlet = Arc::new(inlet);
        let drained_by = async {
            cancel.cancelled().await;
            Deadline::within(self.drain_max)
        };
        let (metrics, deadline) = self.dispatch(handler, handling, &inlet, drained_by).await;

        let flush = tokio::time::timeout_at(deadline.instant(), inlet.tell_all());
        if flush.await.is_err() {
            tracing::warn!(untold = inlet.untold(), "the transport could not be told what was settled");
        }
        if let Err(error) = inlet.receiver().close(deadline).await {
            tracing::warn!(%error, "the receiver did not close cleanly");
        }
        match inlet.failure() {
            Some(error) => Err(error),
            None => Ok(Report::new(metrics, inlet.dead(), inlet.released(), inlet.untold())),
        }
    }

    /// Gives each event to an async function, as [`run`](Self::run) does.
    ///
    /// # Errors
    /// What opening a receiver or receiving fails with for good.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handlers at work; what is not acknowledged is received again.
    pub async fn run_fn<F, R, E>(&self, handler: F, cancel: CancellationToken) -> Result<Report, Error>
    where
        F: FnMut(Delivery<Event>) -> R,
        R: Future<Output = Result<(), E>>,
        E: Classify + Display,
    {
        self.run(service_fn(handler), cancel).await
    }

    /// Gives dead letters, and those parked behind them, to the handlers of the runs under way, one run after the
    /// other, and removes those that are handled; see [`Dispatcher::replay`]. None if no run is under way, or all ended
    /// meanwhile: then each letter is handled and removed, or stays.
    ///
    /// A key that a consumer of another process has parked stays parked there until that one replays too.
    ///
    /// # Errors
    /// What [`DeadLetters::list`](crate::delivery::DeadLetters::list) returns.
    ///
    /// # Cancel safety
    /// Dropping the future ends the replay after the letters that handlers have in hand.
    pub async fn replay(&self, which: Replay) -> Result<Option<Replayed>, DeadLettersError> {
        let _turn = self.runs.replaying.lock().await;
        let (mut replayed, mut last) = (None, 0);
        // Each run knows the keys that it has parked itself.
        while let Some(Run { number, dispatcher, ended }) = self.runs.after(last) {
            last = number;
            tokio::select! {
                () = ended.cancelled() => {}
                by_one = dispatcher.replay(which.clone()) => {
                    replayed.get_or_insert_with(Replayed::default).add(by_one?);
                }
            }
        }
        Ok(replayed)
    }

    /// Returns what each run that is under way has done and has in hand.
    pub fn metrics(&self) -> Vec<HandlingMetrics> {
        self.runs.all().iter().map(|run| run.dispatcher.metrics()).collect()
    }

    /// Opens a receiver; none once `cancel` comes first.
    async fn open(&self, cancel: &CancellationToken) -> Result<Option<Box<dyn Receiver>>, Error> {
        let mut rng = self.handling.redelivery.seed.stream("open");
        let mut failures = 0;
        loop {
            let opened = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(None),
                opened = self.source.open(&self.subscribe) => opened,
            };
            let wait = match opened {
                Ok(receiver) => return Ok(Some(receiver)),
                Err(error) if error.classify().is_retryable() => {
                    let wait = self.backoff.delay(failures, &mut rng);
                    let destination = self.source.destination();
                    tracing::warn!(destination, failures, %error, ?wait, "opening a receiver again later");
                    wait.max(error.retry_after().unwrap_or_default())
                }
                Err(error) => return Err(error),
            };
            failures = failures.saturating_add(1);
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Runs handlers until the inlet has ended and nothing is in hand, or `drained_by` has passed. Returns what was
    /// done, with the rest given back to the inlet, and until when telling the transport may take.
    async fn dispatch<S>(
        &self,
        handler: S,
        handling: Handling<Event>,
        inlet: &Arc<ReceiverInlet>,
        drained_by: impl Future<Output = Deadline>,
    ) -> (HandlingMetrics, Deadline)
    where
        S: Service<Delivery<Event>>,
        S::Error: Classify + Display,
    {
        let (destination, group) = (self.source.destination(), Arc::clone(&self.subscribe.group));
        let dispatcher = Dispatcher::new(Arc::clone(inlet), destination, group, handling);
        let _running = self.runs.begin(dispatcher.clone());
        let deadline = {
            let (mut work, mut drained_by) = (pin!(dispatcher.run(handler)), pin!(drained_by));
            let mut tell = pin!(inlet.tell());
            tokio::select! {
                () = &mut work => Deadline::within(self.drain_max),
                () = &mut tell => Deadline::within(self.drain_max),
                deadline = &mut drained_by => {
                    tokio::select! {
                        () = work => {}
                        () = tell => {}
                        // A little is left for telling the transport.
                        () = tokio::time::sleep(self.drain_max / 5 * 4) => {}
                    }
                    deadline
                }
            }
        };
        (dispatcher.metrics(), deadline)
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("destination", &self.source.destination())
            .field("subscribe", &self.subscribe)
            .field("handling", &self.handling)
            .finish_non_exhaustive()
    }
}
