//! Redis as an event store.

mod basics;
pub(crate) mod conformance;
mod deletion;
mod durability;
mod encryption;
mod kill;
mod loss;
mod reconnect;
#[cfg(target_os = "linux")]
pub(crate) mod with_fuse;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use steadfast_backends::redis::store::{RedisStore, Settings};
use steadfast_backends::redis::{Config, Persistence};
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::Error;
use steadfast_servers::{Redis, RedisProgram};

use super::support::{self, ServerSettings};

/// A store on a server of its own.
pub(crate) struct Place {
    pub(crate) server: Redis,
    pub(crate) config: Config,
    pub(crate) settings: Settings,
}

impl Place {
    /// A place on a server that syncs before it answers.
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(super) async fn with(settings: ServerSettings) -> Self {
        Self::on(RedisProgram::Redis, settings).await
    }

    pub(crate) async fn on(program: RedisProgram, settings: ServerSettings) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = support::started_as(program, settings).await;
        let config = Config { persistence: Persistence::Unknown, ..support::config(&server) };
        let name = format!("store-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let patience = HumanDuration(Duration::from_secs(20));
        Self { server, config, settings: Settings { name, patience, ..Settings::default() } }
    }

    pub(crate) async fn try_open(&self) -> Result<RedisStore, Error> {
        RedisStore::open(self.config.clone(), self.settings.clone()).await
    }

    pub(crate) async fn open(&self) -> RedisStore {
        self.try_open().await.expect("opened")
    }

    /// Connects as somebody else would.
    pub(super) async fn commands(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.server.url()).expect("the address is right");
        // The driver's own patience is too short for a busy machine.
        let patience = Some(Duration::from_secs(30));
        let settings = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(patience)
            .set_response_timeout(patience);
        client.get_multiplexed_async_connection_with_config(&settings).await.expect("it connects")
    }

    /// Asks the server; `KEY:` in a word stands for what the store's keys begin with.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let command = command.replace("KEY:", &format!("{{{}}}:", self.settings.name));
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.commands().await).await.expect("it answers")
    }
}

pub(crate) fn event(kind: &str) -> Event {
    Event::new("/redis", kind).data("text/plain", kind.to_owned())
}
