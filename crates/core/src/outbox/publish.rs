use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use steadfast_base::{Classify, Deadline, Rng};
use tokio_util::sync::CancellationToken;

use super::{Error, OnRejected, OutboxOptions};
use crate::Event;
use crate::store::{self, Checkpoint, Durability, EventStore, Position};
use crate::transport::{self, Sink};

/// What an outbox has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxMetrics {
    /// Events that the sink has taken.
    pub published: u64,
    /// Attempts to send that failed and were repeated.
    pub retried: u64,
    /// Events that the sink rejected and that were skipped.
    pub rejected: u64,
}

/// Publishes a store's events to a sink; see the [module](crate::outbox).
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::outbox::{OutboxRelay, OutboxOptions};
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore, MemoryStore};
/// use steadfast_core::transport::Sink;
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example(sink: Arc<dyn Sink>) -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// store.append(batch, Condition::Any, Durability::Accepted).await?;
///
/// let outbox = OutboxRelay::new(store, sink, OutboxOptions::new("notices"));
/// let stop = CancellationToken::new();
/// outbox.run(stop).await?;
/// # Ok(()) }
/// ```
pub struct OutboxRelay {
    store: Arc<dyn EventStore>,
    sink: Arc<dyn Sink>,
    options: OutboxOptions,
    published: AtomicU64,
    retried: AtomicU64,
    rejected: AtomicU64,
}

impl OutboxRelay {
    /// Makes an outbox from `store` to `sink`; nothing is published before [`run`](Self::run).
    pub fn new(store: Arc<dyn EventStore>, sink: Arc<dyn Sink>, options: OutboxOptions) -> Self {
        let [published, retried, rejected] = [0; 3].map(AtomicU64::new);
        Self { store, sink, options, published, retried, rejected }
    }

    /// Returns what it has done.
    pub fn metrics(&self) -> OutboxMetrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutboxMetrics {
            published: get(&self.published),
            retried: get(&self.retried),
            rejected: get(&self.rejected),
        }
    }

    /// Publishes what follows the checkpoint and what is appended from now on, until `cancel` or until the store
    /// closes.
    ///
    /// # Errors
    /// [`Error::Store`] when the store is closed, damaged or poisoned, or another outbox of this name runs;
    /// [`Error::Sink`] when the sink can never take an event. A sink that is unavailable, and a store that cannot be
    /// read or written for a while, are asked again for as long as it takes.
    ///
    /// # Cancel safety
    /// Dropping the future, or cancelling, publishes nothing twice unless a send was under way.
    pub async fn run(&self, cancel: CancellationToken) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            ended = self.publish_all() => ended,
        }
    }

    async fn publish_all(&self) -> Result<(), Error> {
        let mut rng = self.options.seed.rng();
        let mut checkpoint = self.load(&mut rng).await?;
        let mut failures = 0;
        loop {
            let begun = checkpoint.position();
            match self.publish_after(&mut checkpoint, &mut rng).await {
                Err(Error::Store(error)) if may_pass(&error) => {
                    failures = if checkpoint.position() > begun { 0 } else { failures };
                    self.wait(&error, &mut failures, &mut rng).await;
                }
                ended => return ended,
            }
        }
    }

    /// Publishes what follows the checkpoint until the store closes or cannot be read.
    async fn publish_after(&self, checkpoint: &mut Checkpoint, rng: &mut Rng) -> Result<(), Error> {
        let stored = self.store.subscribe(self.options.filter.clone(), checkpoint.position());
        let mut stored = stored.ready_chunks(self.options.batch_max.max(1));
        while let Some(chunk) = stored.next().await {
            let mut events = Vec::with_capacity(chunk.len());
            let mut reached: Option<Position> = None;
            let mut failure = None;
            for stored in chunk {
                match stored {
                    // The checkpoint's own moves must not move it again.
                    Ok(stored) if stored.event.kind().starts_with("steadfast.") => {}
                    Ok(stored) => {
                        reached = Some(stored.position);
                        events.push(stored.event);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(reached) = reached {
                self.send(&events, rng).await?;
                self.save(checkpoint, reached, rng).await?;
            }
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn load(&self, rng: &mut Rng) -> Result<Checkpoint, store::Error> {
        let mut failures = 0;
        loop {
            match Checkpoint::load(&*self.store, &self.options.name).await {
                Err(error) if may_pass(&error) => self.wait(&error, &mut failures, rng).await,
                loaded => return loaded,
            }
        }
    }

    /// Moves the checkpoint, however long it takes: to send again instead would make duplicates of what the sink has.
    async fn save(
        &self,
        checkpoint: &mut Checkpoint,
        reached: Position,
        rng: &mut Rng,
    ) -> Result<(), store::Error> {
        // Losing a move of the checkpoint costs duplicates only.
        let durability = self.store.capabilities().durability_max.min(Durability::Written);
        let (before, mut failures) = (checkpoint.position(), 0);
        loop {
            match checkpoint.save(&*self.store, reached, durability).await {
                Err(error) if may_pass(&error) => self.wait(&error, &mut failures, rng).await,
                saved => return saved,
            }
            // It may have moved all the same; then saving again would look like another outbox at work.
            let now = self.load(rng).await?;
            if now.position() == reached || now.position() == before {
                *checkpoint = now;
            }
            if checkpoint.position() == reached {
                return Ok(());
            }
        }
    }

    async fn wait(&self, error: &store::Error, failures: &mut u32, rng: &mut Rng) {
        let wait = self.options.backoff.delay(*failures, rng);
        tracing::warn!(outbox = &*self.options.name, failures, %error, ?wait, "asking the store again later");
        *failures = failures.saturating_add(1);
        tokio::time::sleep(wait).await;
    }

    /// Sends `events`, however long it takes.
    async fn send(&self, events: &[Event], rng: &mut Rng) -> Result<(), Error> {
        match self.send_together(events, rng).await {
            Ok(()) => Ok(()),
            Err(transport::Error::Rejected { .. }) if self.options.on_rejected == OnRejected::Skip => {
                // Which one is at fault shows when they are sent alone.
                for event in events {
                    match self.send_together(std::slice::from_ref(event), rng).await {
                        Err(error @ transport::Error::Rejected { .. }) => {
                            let id = event.id();
                            tracing::error!(outbox = &*self.options.name, %id, %error, "an event is skipped");
                            self.rejected.fetch_add(1, Ordering::Relaxed);
                        }
                        other => other?,
                    }
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn send_together(&self, events: &[Event], rng: &mut Rng) -> Result<(), transport::Error> {
        let OutboxOptions { durability, send_timeout, backoff, .. } = &self.options;
        let mut failures = 0;
        loop {
            let deadline = Deadline::within(*send_timeout);
            match self.sink.send(events, *durability, deadline).await {
                Ok(_) => {
                    self.published.fetch_add(events.len() as u64, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) if error.classify().is_retryable() => {
                    let wait = backoff.delay(failures, rng).max(error.retry_after().unwrap_or_default());
                    tracing::warn!(outbox = &*self.options.name, failures, %error, ?wait, "sending again later");
                    failures = failures.saturating_add(1);
                    self.retried.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Says whether the same request can succeed later, without anybody opening the store again.
fn may_pass(error: &store::Error) -> bool {
    matches!(error, store::Error::Io { .. } | store::Error::Overloaded | store::Error::Full)
}

impl std::fmt::Debug for OutboxRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxRelay")
            .field("options", &self.options)
            .field("metrics", &self.metrics())
            .finish()
    }
}
