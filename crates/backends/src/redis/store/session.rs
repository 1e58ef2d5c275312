use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{RedisError, Value};
use futures::FutureExt;
use steadfast_core::store::{Durability, Error, Outcome, Position};
use steadfast_core::transport::{self, Link};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use super::error::{self, away, connecting, reading};
use super::facts::{Facts, Found, Sync};
use super::keys::Keys;
use super::{Settings, place, script};
use crate::redis::connector::{Connection, Connector, Greet};
use crate::redis::sync::Waiter;
use crate::redis::torn::{self, Mended};
use crate::redis::{Config, Persistence, SYSTEM, error as driver, server};

/// How often something is asked for that connections have gone with.
pub(super) const ATTEMPTS_MAX: u32 = 3;

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// The connections of a store: what waits for a sync, or sends much, holds up nobody who reads.
pub(super) struct Session {
    pub(super) keys: Arc<Keys>,
    pub(super) settings: Settings,
    pub(super) facts: Arc<Facts>,
    pub(super) appends: Connector,
    pub(super) reads: Connector,
    answer_within: Duration,
    waiter: Waiter,
    under_way: Semaphore,
    closed: AtomicBool,
}

impl Session {
    pub(super) fn new(config: &Config, settings: Settings) -> Result<Self, Error> {
        let keys = Arc::new(Keys::new(&settings.name));
        let facts = Arc::<Facts>::default();
        let connector = || {
            let greet = greet(config.clone(), settings.deduplicated_events, &keys, &facts);
            Connector::greeting(config, Duration::ZERO, greet).map_err(|error| connecting(&error))
        };
        Ok(Self {
            appends: connector()?,
            reads: connector()?,
            answer_within: config.answer_within.0,
            waiter: Waiter::default(),
            under_way: Semaphore::new(most(&settings)),
            closed: AtomicBool::new(false),
            keys: Arc::clone(&keys),
            facts: Arc::clone(&facts),
            settings,
        })
    }

    pub(super) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Takes a turn, of which there are so many.
    pub(super) fn enter(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.check_open()?;
        self.under_way.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => Error::Overloaded,
            TryAcquireError::Closed => Error::Closed,
        })
    }

    /// Waits for a connection; tries for as long as the settings say while there is none to be had.
    pub(super) async fn connect(&self, connector: &Connector) -> Result<Connection, Error> {
        let up = match self.facts.fatal.get() {
            None => tokio::time::timeout(self.settings.patience.0, connector.up()).await,
            Some(fatal) => return Err(fatal.clone()),
        };
        match up {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.facts.fatal.get().cloned().unwrap_or_else(|| connecting(&error))),
            Err(_) => Err(away(match &*connector.link().borrow() {
                Link::Down { reason, .. } => reason.to_string(),
                _ => "no connection could be made in time".to_owned(),
            })),
        }
    }

    /// Asks something that changes nothing, again if the connection goes meanwhile.
    pub(super) async fn ask<T, F>(&self, question: impl Fn(MultiplexedConnection) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        self.ask_by(&self.reads, question).await
    }

    /// As [`ask`](Self::ask), by one of the connections.
    pub(super) async fn ask_by<T, F>(
        &self,
        connector: &Connector,
        question: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let mut attempts = 0;
        loop {
            let connection = self.connect(connector).await?;
            attempts += 1;
            match connector.run(&connection, &question).await {
                Err(error) if driver::is_connection_lost(&error) && attempts < ATTEMPTS_MAX => {}
                answer => return answer.map_err(|error| reading(&error)),
            }
        }
    }

    /// Makes what `connection` has written as safe as is asked for.
    pub(super) async fn make_safe(
        &self,
        connection: &Connection,
        durability: Durability,
    ) -> Result<Durability, transport::Error> {
        match self.facts.sync() {
            Sync::Never => Ok(Durability::Accepted),
            Sync::Always => Ok(Durability::Durable),
            Sync::OnDemand if durability == Durability::Accepted => Ok(durability),
            Sync::OnDemand => {
                self.waiter.wait(&self.appends, connection, self.answer_within).await?;
                Ok(Durability::Durable)
            }
        }
    }

    /// Asks for the position of the newest event.
    pub(super) async fn head(&self) -> Result<Position, Error> {
        let before = self.facts.newest();
        let key = &self.keys.meta();
        let head: Option<String> = self
            .ask(|mut commands| async move {
                ::redis::cmd("HGET").arg(key).arg("head").query_async(&mut commands).await
            })
            .await?;
        let Some(head) = head.as_deref().and_then(place::parse) else {
            // The next connection finds out what has become of it.
            self.reads.renew("the store is gone").await;
            return Err(error::gone(error::READING));
        };
        self.facts.compare(before, head)?;
        Ok(head)
    }

    /// Asks for the position of the newest event that may be read, for nobody is to act on what may be lost. It waits
    /// until all is synced, where the server does that on demand.
    pub(super) async fn readable_head(&self) -> Result<Position, Error> {
        let head = self.head().await?;
        if self.facts.sync() == Sync::OnDemand && head > self.facts.newest().kept {
            let connection = self.connect(&self.appends).await?;
            let touch = |mut commands: MultiplexedConnection| async move {
                let mut touch = ::redis::cmd("HINCRBY");
                touch.arg(self.keys.meta()).arg("repeated").arg(1);
                touch.query_async::<Value>(&mut commands).await
            };
            self.appends.run(&connection, touch).await.map_err(|error| reading(&error))?;
            self.make_safe(&connection, Durability::Durable).await.map_err(|error| connecting(&error))?;
            self.facts.kept(head);
        }
        Ok(head)
    }

    /// Lets nobody begin anything any more, waits for what is under way, and ends the connections.
    pub(super) async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let all = u32::try_from(most(&self.settings)).unwrap_or(u32::MAX);
        let patience = 2 * (self.settings.patience.0 + self.answer_within);
        let ended = tokio::time::timeout(patience, self.under_way.acquire_many(all)).await;
        self.under_way.close();
        self.appends.close();
        self.reads.close();
        ended.map(drop).map_err(|_| {
            let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "appends were still under way");
            Error::io("closing the store in Redis", late, Outcome::Unknown)
        })
    }
}

fn most(settings: &Settings) -> usize {
    settings.under_way_max.max(1) as usize
}

/// Makes what a connection is greeted with: the server must be one that keeps what the store declares.
fn greet(config: Config, remembers: u32, keys: &Arc<Keys>, facts: &Arc<Facts>) -> Greet {
    let (keys, facts) = (Arc::clone(keys), Arc::clone(facts));
    Box::new(move |connection| {
        let (config, keys, facts) = (config.clone(), Arc::clone(&keys), Arc::clone(&facts));
        async move { check(&config, remembers, &keys, &facts, connection).await }.boxed()
    })
}

async fn check(
    config: &Config,
    remembers: u32,
    keys: &Keys,
    facts: &Facts,
    mut connection: MultiplexedConnection,
) -> Result<(), transport::Error> {
    server::check_eviction(&mut connection).await?;
    let mended = torn::mend(&mut connection, &facts.file, config.answer_within.0).await?;
    let sync = match (Sync::of(config, &mut connection).await?, mended, config.persistence) {
        // Nobody says that its file is not cut.
        (_, Mended::Hidden, Persistence::Unknown) => Sync::Never,
        (sync, Mended::Hidden, _) => {
            torn::take_for_granted();
            sync
        }
        (sync, Mended::Yes, _) => sync,
    };
    if facts.found.get().is_some_and(|found| sync < found.sync) {
        let problem = "the server keeps less than it did when the store was opened".to_owned();
        return Err(server::wrong("persistence", problem));
    }
    let before = facts.newest();
    let (version, head, remembers): (String, String, u64) = script::OPEN
        .key(keys.meta())
        .arg(VERSION)
        .arg(remembers)
        .invoke_async(&mut connection)
        .await
        .map_err(|error| driver::map(&error))?;
    if version != VERSION.to_string() {
        let what = format!(
            "format {version} of {}, only up to {VERSION}: it was made by a newer version",
            keys.meta()
        );
        return Err(transport::Error::Unsupported { system: SYSTEM, what });
    }
    let rejected = |reason: String| transport::Error::Rejected { system: SYSTEM, reason };
    let head = place::parse(&head).ok_or_else(|| rejected(format!("{} has no head", keys.meta())))?;
    facts.found.get_or_init(|| Found { sync, deduplicated_events: remembers });
    facts.compare(before, head).map_err(|error| rejected(error.to_string()))
}
