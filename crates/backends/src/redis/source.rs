use std::time::Duration;

use futures::future::BoxFuture;
use steadfast_core::transport::{Capabilities, Error, Receiver, Source, Start, Subscribe};
use tokio_util::sync::CancellationToken;

use super::connector::Connector;
use super::group::Group;
use super::reader::{BLOCK, Reader};
use super::receiver::RedisReceiver;
use super::{Config, SYSTEM, error};

/// Receives events from the shards of a stream, by consumer groups.
#[derive(Debug, Clone)]
pub struct RedisSource {
    config: Config,
}

impl RedisSource {
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
            let problem = "at least one event must be in flight".to_owned();
            return Err(Error::Configuration { system: SYSTEM, field: "in_flight_max", problem });
        }
        let commands = Connector::new(&self.config, Duration::ZERO)?;
        let blocking = Connector::new(&self.config, BLOCK)?;
        let group = Group::new(self.config.clone(), &subscribe.group);
        group.create(&commands, &commands.up().await?, subscribe.start == Start::Oldest).await?;
        let stop = CancellationToken::new();
        let reader = Reader::new(group, commands, blocking, subscribe.in_flight_max, stop.clone());
        Ok(Box::new(RedisReceiver::start(reader, stop)))
    }
}

impl Source for RedisSource {
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
