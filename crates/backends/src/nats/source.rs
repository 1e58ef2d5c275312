use futures::future::BoxFuture;
use steadfast_core::transport::{Capabilities, Error, Receiver, Source, Subscribe};
use tokio_util::sync::CancellationToken;

use super::connector::Connector;
use super::keeper::Keeper;
use super::place::Place;
use super::receiver::NatsReceiver;
use super::{Config, SYSTEM, error};

/// Receives events from the shards of a stream, by durable pull consumers.
#[derive(Debug, Clone)]
pub struct NatsSource {
    config: Config,
}

impl NatsSource {
    /// Makes a source; connections are made when a receiver is opened.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config })
    }

    async fn connect(&self, subscribe: &Subscribe) -> Result<Box<dyn Receiver>, Error> {
        if subscribe.in_flight_max == 0 {
            return Err(error::configuration("in_flight_max", "at least one event must be in flight"));
        }
        let connector = Connector::new(&self.config)?;
        let client = connector.up().await?;
        let place = Place::new(&client, &self.config);
        place.prepare().await?;
        place.join(&subscribe.group, subscribe.start, subscribe.in_flight_max).await?;
        let stop = CancellationToken::new();
        let keeper = Keeper::new(
            self.config.clone(),
            connector,
            subscribe.group.clone(),
            subscribe.in_flight_max,
            stop.clone(),
        );
        Ok(Box::new(NatsReceiver::start(keeper, stop)))
    }
}

impl Source for NatsSource {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        &self.config.stream
    }

    fn capabilities(&self) -> Capabilities {
        self.config.capabilities()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async move {
            tokio::time::timeout(self.config.connect_within.0, self.connect(subscribe))
                .await
                .unwrap_or_else(|_| Err(error::unavailable("no connection could be made in time")))
        })
    }
}
