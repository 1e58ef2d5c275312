use std::sync::Arc;
use std::time::Duration;

use krafka::consumer::Consumer;
use krafka::{CloseOptions, ConsumerRecord, Kafka, KrafkaError};
use steadfast_base::{Backoff, Classify, Rng, Seed};
use steadfast_core::transport::{Error, Link};
use tokio::sync::watch::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Config;
use super::error::{map_poll, rejected, unavailable};
use super::receiver::Shared;
use super::record::decode;
use super::watch::watch;

/// How long a poll waits for events.
const POLL: Duration = Duration::from_millis(500);
/// How often the group is looked after while there is no room to fetch.
const LOOK_AFTER: Duration = Duration::from_millis(200);
/// How often a poll that is to end is told so: it hears it only where it waits for events.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);
/// How long leaving the group may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// After how many failures in a row they are worth a warning: a broker that starts again costs some.
const LOUD_AFTER: u32 = 5;

/// The task of a receiver: it fetches while there is room, and stays a member of the group all the while.
pub(super) struct Driver {
    pub(super) kafka: Kafka,
    pub(super) consumer: Arc<Consumer>,
    pub(super) config: Config,
    /// How many events are fetched before they are asked for.
    pub(super) read_ahead: usize,
    pub(super) seed: Seed,
}

/// Says that the driver has ended when it is dropped.
struct End<'d> {
    shared: &'d Shared,
    link: &'d Sender<Link>,
    farewell: Result<(), Error>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.link.send_replace(Link::Closed);
        if std::thread::panicking() {
            let bug = "receiving has panicked, which is a bug: open another receiver";
            *self.shared.failure.lock() = Some(rejected(bug));
        }
        self.shared.end(self.farewell.clone());
    }
}

impl Driver {
    pub(super) async fn run(self, shared: Arc<Shared>, link: Sender<Link>) {
        let watched = CancellationToken::new();
        let rng = self.seed.stream("watch");
        let watching = watch(self.kafka.clone(), self.config.clone(), link.clone(), rng, watched.clone());
        let driving = async {
            self.drive(&shared).await;
            let farewell = self.leave(&shared).await;
            watched.cancel();
            farewell
        };
        // Whoever waits for the end learns of it also if this task is dropped or panics.
        let mut end = End { shared: &shared, link: &link, farewell: Err(unavailable("the task was ended")) };
        let (farewell, ()) = tokio::join!(driving, watching);
        end.farewell = farewell;
    }

    async fn drive(&self, shared: &Shared) {
        let mut rng = self.seed.stream("poll");
        let mut failures = 0;
        while !shared.is_closing() {
            let done = match self.step(shared).await {
                // What could not be told when it was settled is told as soon as that is possible.
                Ok(()) => shared.closing().run_until_cancelled(shared.commit()).await.unwrap_or(Ok(())),
                failed => failed,
            };
            match done {
                Ok(()) => failures = 0,
                Err(error) => {
                    self.wait_after(shared, error, failures, &mut rng).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Fetches, or waits for room and looks after the group meanwhile.
    async fn step(&self, shared: &Shared) -> Result<(), Error> {
        if shared.holdings.lock().fresh() >= self.read_ahead {
            let drained = tokio::time::timeout(LOOK_AFTER, shared.drained.notified());
            let _ = shared.closing().run_until_cancelled(drained).await;
        }
        let is_full = shared.holdings.lock().fresh() >= self.read_ahead;
        let polled =
            if is_full { self.look_after_group(shared).await } else { self.poll(shared, POLL).await };
        let records = polled?;
        if !records.is_empty() {
            let mut holdings = shared.holdings.lock();
            for record in records {
                holdings.fetched(record.partition, record.offset, decode(&record));
            }
            drop(holdings);
            shared.ready.notify_waiters();
        }
        Ok(())
    }

    /// Takes part in what the group decides, and fetches only from partitions that come by it: nobody could keep those
    /// from being polled, and what is polled is not polled again.
    async fn look_after_group(&self, shared: &Shared) -> Result<Vec<ConsumerRecord>, Error> {
        let topic = &self.config.topic;
        let assigned = self.consumer.assignment().await.remove(topic).unwrap_or_default();
        self.consumer.pause(topic, &assigned).await;
        let polled = self.poll(shared, Duration::ZERO).await;
        let assigned = self.consumer.assignment().await.remove(topic).unwrap_or_default();
        self.consumer.resume(topic, &assigned).await;
        polled
    }

    /// Polls; once the receiver is closing it is interrupted, but not dropped: one that is dropped while it joins the
    /// group leaves a member behind of whom nobody knows, and the partitions with it until the broker misses it.
    async fn poll(&self, shared: &Shared, patience: Duration) -> Result<Vec<ConsumerRecord>, Error> {
        let interrupting = async {
            shared.closing().cancelled().await;
            let until = Instant::now() + LEAVE_WITHIN;
            while Instant::now() < until {
                self.consumer.wakeup();
                tokio::time::sleep(INTERRUPT_EVERY).await;
            }
        };
        let polled = tokio::select! {
            polled = self.consumer.poll(patience) => polled,
            () = interrupting => Ok(Vec::new()),
        };
        match polled {
            Err(KrafkaError::Wakeup) => Ok(Vec::new()),
            polled => polled.map_err(|error| map_poll(&error)),
        }
    }

    async fn wait_after(&self, shared: &Shared, error: Error, failures: u32, rng: &mut Rng) {
        if failures < LOUD_AFTER {
            tracing::debug!(topic = self.config.topic, failures, %error, "receiving failed");
        } else {
            tracing::warn!(topic = self.config.topic, failures, %error, "receiving fails again and again");
        }
        if !error.classify().is_retryable() {
            *shared.failure.lock() = Some(error);
            shared.ready.notify_waiters();
        }
        let wait = tokio::time::sleep(Backoff::default().delay(failures, rng));
        let _ = shared.closing().run_until_cancelled(wait).await;
    }

    /// Tells what was handled and leaves the group, so that others need not wait for this member to be missed.
    async fn leave(&self, shared: &Shared) -> Result<(), Error> {
        let committed = tokio::time::timeout(LEAVE_WITHIN, shared.commit()).await;
        let closed = self.consumer.close_with(CloseOptions::new().timeout(LEAVE_WITHIN)).await;
        if let Err(error) = closed {
            tracing::debug!(topic = self.config.topic, %error, "leaving the group failed");
        }
        committed.unwrap_or_else(|_| Err(unavailable("the last commit was not taken in time")))
    }
}
