use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use krafka::producer::{Acks, DeliveryHandle, Producer};
use krafka::{CloseOptions, Kafka, Record};
use steadfast_base::{Deadline, Rng};
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Link, LinkState, Sink, link};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::{map, unavailable};
use super::record::encode;
use super::watch::watch;
use super::{Config, SYSTEM, connection};

/// How long the driver tries to send an event by itself. It is longer than any deadline, so that no event of a key
/// is given up while a later one is on its way.
const TRY_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A topic that events are sent to.
pub struct KafkaSink {
    config: Config,
    link: watch::Sender<Link>,
    end: CancellationToken,
    slot: Mutex<Slot>,
}

struct Slot {
    rng: Rng,
    kafka: Option<Kafka>,
    producer: Option<Arc<Producer>>,
    watcher: Option<JoinHandle<()>>,
}

impl KafkaSink {
    /// Makes a sink; the connection is made by the first send.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        let rng = config.seed().stream("kafka sink");
        let slot = Mutex::new(Slot { rng, kafka: None, producer: None, watcher: None });
        Ok(Self { config, link: link().0, end: CancellationToken::new(), slot })
    }

    async fn producer(&self, until: Instant) -> Result<Arc<Producer>, Error> {
        let mut slot = self.slot.lock().await;
        if self.end.is_cancelled() {
            return Err(Error::Closed);
        }
        if let Some(producer) = &slot.producer {
            return Ok(Arc::clone(producer));
        }
        let kafka = match &slot.kafka {
            Some(kafka) => kafka.clone(),
            None => {
                let kafka = connection::connect(&self.config, until, &mut slot.rng).await?;
                let rng = steadfast_base::Seed::new(slot.rng.next_u64()).rng();
                let end = self.end.clone();
                let watching = watch(kafka.clone(), self.config.clone(), self.link.clone(), rng, end);
                slot.watcher = Some(tokio::spawn(watching));
                slot.kafka = Some(kafka.clone());
                kafka
            }
        };
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .idempotent(true)
            .linger(Duration::ZERO)
            .delivery_timeout(TRY_FOR)
            .max_block(TRY_FOR)
            .build()
            .await
            .map_err(|error| map(&error))?;
        let producer = Arc::new(producer);
        slot.producer = Some(Arc::clone(&producer));
        Ok(producer)
    }

    async fn send(
        &self,
        events: &[Event],
        asked: Durability,
        deadline: Deadline,
    ) -> Result<Durability, Error> {
        if self.end.is_cancelled() {
            return Err(Error::Closed);
        }
        let achieved = self.capabilities().durability_max;
        if asked > achieved {
            return Err(Error::Unsupported { system: SYSTEM, what: format!("durability {asked}") });
        }
        // All are made before any is sent, so that one that cannot be sent holds back those behind it.
        let encode = |event| encode(&self.config.topic, event, self.config.event_bytes_max);
        let records: Vec<Record> = events.iter().map(encode).collect::<Result<_, _>>()?;
        let until = deadline.instant();
        let producer = match timeout_at(until, self.producer(until)).await {
            Ok(producer) => producer?,
            Err(_) => return Err(self.late()),
        };
        match timeout_at(until, deliver(&producer, records)).await {
            Ok(Ok(())) => Ok(achieved),
            Ok(Err(_)) if self.end.is_cancelled() => Err(Error::Closed),
            Ok(Err(error)) => {
                let _ = timeout_at(until, self.discard(&producer)).await;
                Err(map(&error))
            }
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Error {
        match &*self.link.borrow() {
            Link::Connecting => unavailable("no broker has answered yet"),
            Link::Down { reason, .. } => unavailable(reason.as_ref()),
            _ => Error::DeadlineExceeded { system: SYSTEM },
        }
    }

    /// Gives up a producer that has failed, and with it what is behind the event that it failed with.
    async fn discard(&self, producer: &Arc<Producer>) {
        let mut slot = self.slot.lock().await;
        if slot.producer.as_ref().is_some_and(|current| Arc::ptr_eq(current, producer)) {
            slot.producer = None;
        }
        let _ = producer.close_with(CloseOptions::new().timeout(Duration::ZERO)).await;
    }

    async fn close(&self, deadline: Deadline) -> Result<(), Error> {
        self.end.cancel();
        let late = || Error::DeadlineExceeded { system: SYSTEM };
        let mut slot = timeout_at(deadline.instant(), self.slot.lock()).await.map_err(|_| late())?;
        let mut closed = Ok(());
        if let Some(producer) = slot.producer.take() {
            let options = CloseOptions::new().timeout(deadline.remaining());
            closed = producer.close_with(options).await.map_err(|_| late());
        }
        if let Some(watcher) = slot.watcher.take() {
            let _ = timeout_at(deadline.instant(), watcher).await;
        }
        slot.kafka = None;
        self.link.send_replace(Link::Closed);
        closed
    }
}

/// Puts all records into the producer's queue, in order, and waits until the brokers have them.
async fn deliver(producer: &Producer, records: Vec<Record>) -> Result<(), krafka::KrafkaError> {
    let mut handles: Vec<DeliveryHandle> = Vec::with_capacity(records.len());
    for record in records {
        handles.push(producer.enqueue(record).await?);
    }
    for handle in handles {
        let _place = handle.await?;
    }
    Ok(())
}

impl Sink for KafkaSink {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        self.config.capabilities()
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(self.send(events, durability, deadline))
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.close(deadline))
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        self.end.cancel();
    }
}
