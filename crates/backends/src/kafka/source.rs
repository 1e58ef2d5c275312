use std::sync::Arc;

use futures::future::BoxFuture;
use krafka::Kafka;
use krafka::consumer::{AutoOffsetReset, Consumer, GroupProtocol};
use steadfast_base::{Classify, Rng};
use steadfast_core::transport::{Capabilities, Error, Receiver, Source, Start, Subscribe};
use tokio::time::{Instant, timeout_at};

use super::driver::Driver;
use super::error::{map, unavailable};
use super::listener::Listener;
use super::receiver::{KafkaReceiver, Shared};
use super::{Config, SYSTEM, connection, start};

/// A topic that events come from. Each receiver has its own connections, for brokers answer one question of a
/// connection after the other.
#[derive(Debug)]
pub struct KafkaSource {
    config: Config,
    /// Held while a receiver begins, so that of several that begin a group only one says where.
    opening: tokio::sync::Mutex<Rng>,
}

impl KafkaSource {
    /// Makes a source; the connection is made when a receiver is opened.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        let opening = tokio::sync::Mutex::new(config.seed().stream("kafka source"));
        Ok(Self { config, opening })
    }

    async fn open(&self, subscribe: &Subscribe) -> Result<KafkaReceiver, Error> {
        let until = Instant::now() + self.config.connect_within.0;
        let late = || unavailable("no broker has answered yet");
        let mut rng = timeout_at(until, self.opening.lock()).await.map_err(|_| late())?;
        loop {
            let kafka = connection::connect(&self.config, until, &mut rng).await?;
            let begun = timeout_at(until, self.begin(kafka, subscribe, &mut rng)).await;
            match begun.unwrap_or_else(|_| Err(late())) {
                Err(error) if error.classify().is_retryable() && Instant::now() < until => {}
                begun => return begun,
            }
        }
    }

    async fn begin(
        &self,
        kafka: Kafka,
        subscribe: &Subscribe,
        rng: &mut Rng,
    ) -> Result<KafkaReceiver, Error> {
        let config = &self.config;
        if subscribe.start == Start::New {
            start::start_at_new(&kafka, config, &subscribe.group).await?;
        }
        let shared = Arc::new(Shared::new(subscribe.in_flight_max));
        let consumer = kafka
            .consumer(&*subscribe.group)
            .group_protocol(GroupProtocol::Consumer)
            .enable_auto_commit(false)
            // What a group that starts at new events has not committed is in a partition that it had not seen yet.
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .max_poll_records(i32::try_from(read_ahead(subscribe.in_flight_max)).unwrap_or(i32::MAX))
            .rebalance_listener(Listener::new(Arc::clone(&shared), config.hand_over_within.0))
            .build()
            .await
            .map_err(|error| map(&error))?;
        let consumer: Arc<Consumer> = Arc::new(consumer);
        shared.serve(&consumer, &config.topic);
        consumer.subscribe([&config.topic]).await.map_err(|error| map(&error))?;
        let driver = Driver {
            kafka,
            consumer,
            config: config.clone(),
            read_ahead: read_ahead(subscribe.in_flight_max),
            seed: steadfast_base::Seed::new(rng.next_u64()),
        };
        Ok(KafkaReceiver::start(shared, driver))
    }
}

/// How many events are fetched before they are asked for.
fn read_ahead(in_flight_max: usize) -> usize {
    in_flight_max.clamp(1, 500)
}

impl Source for KafkaSource {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        &self.config.topic
    }

    fn capabilities(&self) -> Capabilities {
        self.config.capabilities()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async move { Ok(Box::new(self.open(subscribe).await?) as Box<dyn Receiver>) })
    }
}
