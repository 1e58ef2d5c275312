use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use krafka::consumer::{Consumer, OffsetAndMetadata, TopicPartition};
use parking_lot::Mutex;
use steadfast_base::{Classify, Deadline};
use steadfast_core::transport::{Error, Link, LinkState, Received, Receiver, Settlement, link};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::SYSTEM;
use super::driver::Driver;
use super::error::{map, unavailable};
use super::holdings::Holdings;

/// How long settling tries to tell the broker before it fails; the driver goes on trying after that.
const TELL_WITHIN: Duration = Duration::from_secs(5);
const TELL_AGAIN: Duration = Duration::from_millis(100);

/// A receiver, whose task fetches events and keeps up its membership. When it is dropped, the task leaves the group
/// and ends by itself within seconds.
pub(super) struct KafkaReceiver {
    shared: Arc<Shared>,
    link: watch::Sender<Link>,
}

/// What a receiver, its task and its listener share.
pub(super) struct Shared {
    pub(super) holdings: Mutex<Holdings>,
    /// The consumer owns the listener, which owns this.
    consumer: OnceLock<(Weak<Consumer>, String)>,
    /// There may be something to hand out, or the end.
    pub(super) ready: Notify,
    /// Something was handed out: there may be room to fetch.
    pub(super) drained: Notify,
    /// Something was settled.
    pub(super) settled: Notify,
    /// What waiting cannot mend, to be told by the next receive.
    pub(super) failure: Mutex<Option<Error>>,
    closing: CancellationToken,
    ended: CancellationToken,
    /// What closing failed with.
    farewell: Mutex<Result<(), Error>>,
    /// Held while an offset is committed, so that those who wait share the next one.
    committing: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self {
            holdings: Mutex::new(Holdings::new(in_flight_max)),
            consumer: OnceLock::new(),
            ready: Notify::new(),
            drained: Notify::new(),
            settled: Notify::new(),
            failure: Mutex::new(None),
            closing: CancellationToken::new(),
            ended: CancellationToken::new(),
            farewell: Mutex::new(Ok(())),
            committing: tokio::sync::Mutex::new(()),
        }
    }

    /// Says which consumer commits.
    pub(super) fn serve(&self, consumer: &Arc<Consumer>, topic: &str) {
        let _ = self.consumer.set((Arc::downgrade(consumer), topic.to_owned()));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Tells the broker what is handled. Callers that come while another is telling share one answer.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        let _turn = self.committing.lock().await;
        let reached = self.holdings.lock().uncommitted();
        if reached.is_empty() {
            return Ok(());
        }
        let gone = || unavailable("the receiver has ended");
        let (consumer, topic) = self.consumer.get().ok_or_else(gone)?;
        let consumer = consumer.upgrade().ok_or_else(gone)?;
        let offsets: HashMap<TopicPartition, OffsetAndMetadata> = reached
            .iter()
            .map(|(partition, offset)| {
                (TopicPartition::new(topic.clone(), *partition), OffsetAndMetadata::new(*offset))
            })
            .collect();
        consumer.commit_offsets(&offsets).await.map_err(|error| map(&error))?;
        self.holdings.lock().committed(&reached);
        Ok(())
    }

    /// Says that the driver has ended, and how.
    pub(super) fn end(&self, farewell: Result<(), Error>) {
        self.closing.cancel();
        self.holdings.lock().clear();
        *self.farewell.lock() = farewell;
        self.ended.cancel();
        self.ready.notify_waiters();
        self.settled.notify_waiters();
    }
}

impl KafkaReceiver {
    pub(super) fn start(shared: Arc<Shared>, driver: Driver) -> Self {
        let (link, _) = link();
        // The task ends by itself after `closing`: it still has to leave the group, which dropping cannot wait for.
        tokio::spawn(driver.run(Arc::clone(&shared), link.clone()));
        Self { shared, link }
    }

    async fn receive(&self, max: usize) -> Result<Vec<Received>, Error> {
        let shared = &self.shared;
        loop {
            let ready = shared.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if let Some(error) = shared.failure.lock().take() {
                return Err(error);
            }
            if shared.is_closing() {
                return Ok(Vec::new());
            }
            let events = shared.holdings.lock().hand_out(max.max(1));
            if !events.is_empty() {
                shared.drained.notify_one();
                return Ok(events);
            }
            tokio::select! {
                () = ready => {}
                () = shared.closing.cancelled() => {}
            }
        }
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), Error> {
        if settlements.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        if shared.ended.is_cancelled() {
            return Err(Error::Closed);
        }
        shared.holdings.lock().settle(settlements);
        shared.settled.notify_waiters();
        shared.ready.notify_waiters();
        let until = Instant::now() + TELL_WITHIN;
        loop {
            let error = match timeout_at(until, shared.commit()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => unavailable("the broker did not take the commit in time"),
            };
            let hopeless = !error.classify().is_retryable() || Instant::now() + TELL_AGAIN > until;
            if hopeless || shared.ended.is_cancelled() {
                return Err(error);
            }
            tokio::time::sleep(TELL_AGAIN).await;
        }
    }

    async fn close(&self, deadline: Deadline) -> Result<(), Error> {
        self.shared.closing.cancel();
        // Once it is closed a receive ends without an error.
        self.shared.failure.lock().take();
        let ended = timeout_at(deadline.instant(), self.shared.ended.cancelled()).await;
        ended.map_err(|_| Error::DeadlineExceeded { system: SYSTEM })?;
        self.shared.farewell.lock().clone()
    }
}

impl Receiver for KafkaReceiver {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        Box::pin(self.receive(max))
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.settle(settlements))
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.close(deadline))
    }
}

impl Drop for KafkaReceiver {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}
