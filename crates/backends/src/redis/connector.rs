use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, RedisError};
use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_base::{Backoff, Classify, Rng, Seed};
use steadfast_core::transport::{Error, Link, LinkState, link};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::client::client;
use super::server::{self, Always, wrong};
use super::torn::{self, Known, Mended};
use super::{Config, Persistence, SYSTEM, error, names};

/// What is asked of a server before its connection is used.
pub(super) type Greet =
    Box<dyn Fn(MultiplexedConnection) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// One connection that is made again with back-off when it is lost.
pub(super) struct Connector {
    client: Client,
    config: Config,
    answer_within: Duration,
    greet: Greet,
    link: watch::Sender<Link>,
    closed: AtomicBool,
    slot: Mutex<Slot>,
}

struct Slot {
    connection: Option<MultiplexedConnection>,
    /// Which connection this is, so that a late word about an earlier one does not end it.
    generation: u64,
    failures: u32,
    again_at: Instant,
    rng: Rng,
}

/// A connection, and which one it is.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    pub(super) generation: u64,
}

impl Connector {
    /// Makes a transport's connector whose answers may take `extra` longer than usual, for commands that block.
    pub(super) fn new(config: &Config, extra: Duration) -> Result<Self, Error> {
        config.check()?;
        let (checked, file) = (config.clone(), Arc::<Known>::default());
        let greet = move |mut connection: MultiplexedConnection| {
            let (config, file) = (checked.clone(), Arc::clone(&file));
            async move { check(&config, &file, &mut connection).await }.boxed()
        };
        Self::greeting(config, extra, Box::new(greet))
    }

    /// Makes a connector that uses a connection once `greet` says that the server is the right one.
    pub(super) fn greeting(config: &Config, extra: Duration, greet: Greet) -> Result<Self, Error> {
        let seed = config.seed.map_or_else(Seed::random, Seed::new);
        Ok(Self {
            client: client(config)?,
            config: config.clone(),
            answer_within: config.answer_within.0 + extra,
            greet,
            link: link().0,
            closed: AtomicBool::new(false),
            slot: Mutex::new(Slot {
                connection: None,
                generation: 0,
                failures: 0,
                again_at: Instant::now(),
                rng: seed.stream("redis"),
            }),
        })
    }

    pub(super) fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    /// Ends the connection, for good as far as others see it; what is under way on it may end first.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.link.send_replace(Link::Closed);
        // Whoever makes a connection now drops it when it has.
        if let Ok(mut slot) = self.slot.try_lock() {
            slot.connection = None;
        }
    }

    fn is(&self, link: Link) {
        if !self.is_closed() {
            self.link.send_replace(link);
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Returns the connection; makes one, after the back-off that is due, if there is none. One attempt.
    pub(super) async fn get(&self) -> Result<Connection, Error> {
        let mut slot = self.slot.lock().await;
        if self.is_closed() {
            slot.connection = None;
            return Err(Error::Closed);
        }
        if let Some(commands) = &slot.connection {
            return Ok(Connection { commands: commands.clone(), generation: slot.generation });
        }
        tokio::time::sleep_until(slot.again_at).await;
        match self.connect().await {
            Ok(_) if self.is_closed() => Err(Error::Closed),
            Ok(commands) => {
                slot.failures = 0;
                slot.generation += 1;
                slot.connection = Some(commands.clone());
                self.is(Link::Up);
                Ok(Connection { commands, generation: slot.generation })
            }
            Err(error) => {
                let Slot { failures, rng, .. } = &mut *slot;
                let wait = Backoff::default().delay(*failures, rng);
                *failures = failures.saturating_add(1);
                slot.again_at = Instant::now() + wait;
                self.down(slot.failures, &error);
                Err(error)
            }
        }
    }

    /// Returns the connection, trying until there is one.
    ///
    /// # Errors
    /// What waiting cannot mend.
    pub(super) async fn up(&self) -> Result<Connection, Error> {
        loop {
            match self.get().await {
                Err(error) if error.classify().is_retryable() => {}
                done => return done,
            }
        }
    }

    /// Runs `command` on a connection; takes that for lost if the command says so.
    pub(super) async fn run<T, F>(
        &self,
        connection: &Connection,
        command: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, RedisError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let result = command(connection.commands.clone()).await;
        if let Err(error) = &result
            && error::is_connection_lost(error)
        {
            self.lost(connection.generation, error).await;
        }
        result
    }

    async fn lost(&self, generation: u64, error: &RedisError) {
        let mut slot = self.slot.lock().await;
        if slot.generation == generation {
            self.end(&mut slot, &error::map(error));
        }
    }

    /// Ends the connection, so that another is made and greeted before anything else is asked.
    pub(super) async fn renew(&self, reason: &str) {
        self.end(&mut *self.slot.lock().await, &error::unavailable(reason));
    }

    fn end(&self, slot: &mut Slot, error: &Error) {
        if slot.connection.take().is_some() {
            // The first attempt follows at once, those after it with back-off.
            slot.again_at = Instant::now();
            self.down(0, error);
        }
    }

    fn down(&self, attempts: u32, error: &Error) {
        let reason: Arc<str> = error.to_string().into();
        tracing::debug!(system = SYSTEM, attempts, %reason, "the connection is down");
        self.is(Link::Down { attempts, reason });
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Error> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.answer_within.0))
            .set_response_timeout(Some(self.answer_within));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&settings);
        // The driver bounds each of its steps; this bounds all of them.
        let connecting = tokio::time::timeout(self.config.answer_within.0, connecting);
        let connection = connecting
            .await
            .map_err(|_| error::unavailable("connecting took too long"))?
            .map_err(|error| error::map(&error))?;
        (self.greet)(connection.clone()).await?;
        Ok(connection)
    }
}

/// Checks that the server is what the configuration of a transport says.
async fn check(config: &Config, file: &Known, connection: &mut MultiplexedConnection) -> Result<(), Error> {
    if config.persistence != Persistence::Unknown
        && torn::mend(connection, file, config.answer_within.0).await? == Mended::Hidden
    {
        tracing::warn!(
            system = SYSTEM,
            "it is taken for granted that the server refuses a file that was cut"
        );
    }
    let shards: u32 = ::redis::pipe()
        .cmd("SETNX")
        .arg(names::shards(config))
        .arg(config.shards)
        .ignore()
        .cmd("GET")
        .arg(names::shards(config))
        .query_async::<(u32,)>(connection)
        .await
        .map_err(|error| error::map(&error))?
        .0;
    if shards != config.shards {
        return Err(wrong("shards", format!("the stream has {shards}, and keeps them")));
    }
    match config.persistence {
        Persistence::Unknown => Ok(()),
        Persistence::AppendFsyncAlways => match server::syncs_always(connection).await? {
            Always::Yes => server::check_eviction(connection).await,
            Always::No(problem) => Err(wrong("persistence", problem)),
            Always::Hidden => {
                Err(wrong("persistence", "cannot be checked, for `CONFIG GET` is refused".to_owned()))
            }
        },
        Persistence::WaitAof => {
            if let Some(problem) = server::cannot_wait(connection).await? {
                return Err(wrong("persistence", problem));
            }
            server::check_eviction(connection).await
        }
    }
}
