use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use steadfast_core::store::{
    Appended, Batch, Capabilities, Condition, Deleted, Direction, Durability, Error, EventStore, Expected,
    Filter, Position, Query, Revision, StoredEvent,
};

use super::Settings;
use tokio::time::Instant;

use super::append::{Failure, append};
use super::delete::delete;
use super::error::is_lost;
use super::horizon::{self, Bell, Horizon};
use super::pool::Pool;
use super::query;
use crate::chunks::{self, Chunk, Pace, Range};
use crate::postgres::Config;

/// An [`EventStore`] in a PostgreSQL database; see the [module](super).
///
/// # Examples
/// ```no_run
/// use steadfast_backends::postgres::Config;
/// use steadfast_backends::postgres::store::{PostgresStore, Settings};
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::store::Error> {
/// let store = PostgresStore::open(Config::default(), Settings::default()).await?;
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// store.append(batch, Condition::Any, Durability::Durable).await?;
/// # Ok(()) }
/// ```
pub struct PostgresStore {
    pool: Arc<Pool>,
    bell: Bell,
    durability_max: Durability,
    closed: AtomicBool,
}

impl PostgresStore {
    /// Connects, and makes what is missing in the database.
    ///
    /// # Errors
    /// [`Error::Io`] when the server cannot be reached or refuses; [`Error::Unsupported`] when its tables were made by a
    /// newer version; [`Error::Invalid`] when the settings are wrong.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the tables made.
    pub async fn open(config: Config, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let pool = Pool::new(config, settings);
        let found = pool.install().await?;
        let durability_max = found.durability_max;
        Ok(Self { pool, bell: Bell::new(), durability_max, closed: AtomicBool::new(false) })
    }

    fn check(&self, durability: Durability) -> Result<(), Error> {
        if durability > self.durability_max {
            return Err(Error::unsupported_durability(durability));
        }
        self.check_open()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    async fn append_now(
        &self,
        batch: &Batch,
        condition: &Condition,
        durability: Durability,
    ) -> Result<Appended, Error> {
        self.check_open()?;
        batch.check(true)?;
        self.check(durability)?;
        let (mut lost, mut tried) = (false, false);
        loop {
            let mut client = self.pool.get().await?;
            match append(&client, batch, condition, self.durability_max).await {
                Ok(appended) => {
                    self.bell.appended(appended.position);
                    // What this process has sent before the connection went is no repetition to the caller.
                    let duplicate = appended.duplicate && !lost;
                    return Ok(Appended { duplicate, ..appended });
                }
                Err(failure) => {
                    if matches!(failure, Failure::Sql(_)) && !failure.is_race() {
                        client.lost();
                    }
                    lost = matches!(&failure, Failure::Sql(error) if is_lost(error));
                    if tried || !(lost || failure.is_race()) {
                        return Err(failure.into_error());
                    }
                    // Once more: a batch that is there is recognised.
                    tried = true;
                }
            }
        }
    }

    async fn chunk(
        &self,
        filter: &Filter,
        range: Range,
        direction: Direction,
        size: usize,
    ) -> Result<Chunk, Error> {
        let mut client = self.pool.get().await?;
        let found = query::events(&client, filter, range, direction, size).await;
        if matches!(found, Err(Error::Io { .. })) {
            client.lost();
        }
        found
    }

    async fn horizon(&self) -> Result<Horizon, Error> {
        let mut client = self.pool.get().await?;
        let horizon = Horizon::read(&client).await;
        if horizon.is_err() {
            client.lost();
        }
        horizon
    }

    /// Waits a little, if need be, for a horizon behind what this process has appended.
    async fn own_horizon(&self) -> Result<Horizon, Error> {
        let until = Instant::now() + self.pool.settings.own_within.0;
        let mut looks = 0;
        loop {
            let horizon = self.horizon().await?;
            if !self.bell.is_ahead(horizon) || Instant::now() >= until {
                return Ok(horizon);
            }
            tokio::time::sleep(self.bell.patience(horizon, looks, self.pool.settings.poll.0)).await;
            looks += 1;
        }
    }
}

impl EventStore for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.durability_max, true, u64::MAX).deletes()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move { self.append_now(&batch, &condition, durability).await })
    }

    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            self.check(durability)?;
            let mut client = self.pool.get().await?;
            let deleted = delete(&client, stream, expected, self.durability_max).await;
            if matches!(deleted, Err(Error::Io { .. })) {
                client.lost();
            }
            deleted
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let start = async move {
            let Query { filter, from, direction, limit } = query;
            let whole = if filter.streams.len() == 1 {
                query::WHOLE
            } else {
                query::up_to(Position::START, self.own_horizon().await?)
            };
            let filter = Arc::new(filter);
            Ok(chunks::stream(whole.from(direction, from), limit, move |range, size| {
                let filter = Arc::clone(&filter);
                async move { self.chunk(&filter, range, direction, size).await }
            }))
        };
        stream::once(start).try_flatten().boxed()
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let state = (after, self.bell.listen(), filter, Pace::new());
        let chunks = stream::try_unfold(state, move |(mut after, mut rung, filter, pace)| async move {
            let mut looks = 0;
            loop {
                // Looked at before reading: what is appended meanwhile rings again.
                let closed = rung.borrow_and_update().closed;
                if closed {
                    return Ok(None);
                }
                let horizon = self.horizon().await?;
                let range = query::up_to(after, horizon);
                if !range.is_empty() {
                    let Chunk { events, rest } =
                        self.chunk(&filter, range, Direction::Forward, pace.next()).await?;
                    pace.learn_of(&events);
                    // All before the horizon has been seen where nothing is left.
                    after = if rest.is_empty() { range.before } else { rest.after };
                    if !events.is_empty() {
                        return Ok(Some((stream::iter(events).map(Ok), (after, rung, filter, pace))));
                    }
                }
                let patience = self.bell.patience(horizon, looks, self.pool.settings.poll.0);
                looks += 1;
                if let Ok(Err(_)) = tokio::time::timeout(patience, rung.changed()).await {
                    return Ok(None);
                }
            }
        });
        // A connection that closing takes away is the end, no failure.
        let ends =
            |found: &Result<StoredEvent, Error>| std::future::ready(!matches!(found, Err(Error::Closed)));
        chunks.try_flatten().take_while(ends).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(async {
            self.check_open()?;
            let horizon = self.own_horizon().await?;
            let mut client = self.pool.get().await?;
            let head = horizon::head(&client, horizon).await;
            if head.is_err() {
                client.lost();
            }
            head
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            self.check_open()?;
            let mut client = self.pool.get().await?;
            let revision = query::revision(&client, stream).await;
            if revision.is_err() {
                client.lost();
            }
            revision
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.closed.store(true, Ordering::Release);
            self.bell.close();
            self.pool.close();
            Ok(())
        })
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("settings", &self.pool.settings).finish_non_exhaustive()
    }
}
