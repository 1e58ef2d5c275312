use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use rusqlite::Connection;
use steadfast_core::store::{
    Appended, Batch, Capabilities, Condition, Deleted, Direction, Durability, Error, EventStore, Expected,
    Filter, Outcome, Position, Query, Revision, StoredEvent,
};
use tokio::sync::{oneshot, watch};

use super::error::reading;
use super::query;
use super::queue::{Job, Queue};
use super::readers::Readers;
use super::writer::{Head, Writer};
use super::{Config, schema};
use crate::chunks::{self, Chunk, Pace, Range};

/// An [`EventStore`] in a SQLite database; see the [module](super).
///
/// # Examples
/// ```
/// use futures::TryStreamExt;
/// use steadfast_backends::sqlite::store::{Config, SqliteStore};
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("shop.db");
/// let store = SqliteStore::open(Config::at(path)).await?;
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// let appended = store.append(batch, Condition::Any, Durability::Durable).await?;
/// assert_eq!(appended.achieved, Durability::Durable);
/// let events: Vec<_> = store.read(Query::stream("order-1")).try_collect().await?;
/// assert_eq!(events.len(), 1);
/// store.close().await?;
/// # Ok(()) }
/// ```
pub struct SqliteStore {
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    head: watch::Receiver<Head>,
    queue_bytes_max: u64,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database, and makes what is missing in it.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened; [`Error::Unsupported`] when its tables were made by a newer
    /// version, or it lies where SQLite cannot keep a write-ahead log; [`Error::Damaged`] when it is not a database;
    /// [`Error::Overloaded`] when another process kept it locked.
    ///
    /// # Cancel safety
    /// Dropping the future opens nothing.
    pub async fn open(config: Config) -> Result<Self, Error> {
        blocking(move || Self::open_now(&config)).await
    }

    fn open_now(config: &Config) -> Result<Self, Error> {
        let path = absolute(&config.path)?;
        let connection = schema::open(&path, config.busy_timeout.0)?;
        let position = query::head(&connection).map_err(reading)?;
        let (sender, head) = watch::channel(Head { position, closed: false });
        let queue = Arc::<Queue>::default();
        let poll = config.poll.0.max(Duration::from_millis(1));
        let writer = Writer {
            connection,
            queue: Arc::clone(&queue),
            head: sender,
            poll,
            busy_timeout: config.busy_timeout.0,
            // Whoever deleted something may have died before it was wiped.
            holds_deleted: true,
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-write".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| Error::io("starting the writer of SQLite", error, Outcome::NotAppended))?;
        Ok(Self {
            queue,
            readers: Arc::new(Readers::new(path, config.busy_timeout.0, config.readers_max)),
            head,
            queue_bytes_max: config.queue_size_max.bytes(),
            writer: Mutex::new(Some(thread)),
        })
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.queue.is_closing() { Err(Error::Closed) } else { Ok(()) }
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Job) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(job(answer), self.queue_bytes_max)?;
        // The writer answers whatever it took; if it died, nobody knows.
        answered.await.unwrap_or_else(|_| {
            let gone = std::io::Error::other("the writer ended");
            Err(Error::io("appending to SQLite", gone, Outcome::Unknown))
        })
    }

    /// Does `work` on a thread that may block, with a connection of its own.
    async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let readers = Arc::clone(&self.readers);
        blocking(move || readers.with(work)).await
    }

    fn join(&self) {
        if let Some(thread) = self.writer.lock().take() {
            let _ = thread.join();
        }
    }
}

impl EventStore for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Durable, true, u64::MAX).deletes()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            self.check_open()?;
            batch.check(true)?;
            if durability > Durability::Durable {
                return Err(Error::unsupported_durability(durability));
            }
            self.ask(|answer| Job::Append { batch, condition, durability, answer }).await
        })
    }

    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            self.check_open()?;
            if durability > Durability::Durable {
                return Err(Error::unsupported_durability(durability));
            }
            let stream = stream.to_owned();
            self.ask(|answer| Job::Delete { stream, expected, durability, answer }).await
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let start = async move {
            let head = self.with(|connection| query::head(connection).map_err(reading)).await?;
            let Query { filter, from, direction, limit } = query;
            let range = query::up_to(head).from(direction, from);
            Ok(chunks::stream(range, limit, move |range, size| {
                self.chunk(filter.clone(), range, direction, size)
            }))
        };
        stream::once(start).try_flatten().boxed()
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let state = (after, self.head.clone(), filter, Pace::new());
        let chunks = stream::try_unfold(state, move |(mut after, mut head, filter, pace)| async move {
            loop {
                let now = *head.borrow_and_update();
                let newest = Position::from_parts(now.position, 0);
                if newest > after {
                    let range = Range { after, ..query::up_to(now.position) };
                    let found = self.chunk(filter.clone(), range, Direction::Forward, pace.next()).await?;
                    pace.learn_of(&found.events);
                    after = if found.rest.is_empty() { newest } else { found.rest.after };
                    if !found.events.is_empty() {
                        return Ok(Some((stream::iter(found.events).map(Ok), (after, head, filter, pace))));
                    }
                } else if now.closed || head.changed().await.is_err() {
                    return Ok(None);
                }
            }
        });
        chunks.try_flatten().boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(async {
            self.check_open()?;
            let head = self.with(|connection| query::head(connection).map_err(reading)).await?;
            Ok(Position::from_parts(head, 0))
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            self.check_open()?;
            let stream = stream.to_owned();
            self.with(move |connection| query::revision(connection, &stream).map_err(reading)).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.queue.close();
            let mut head = self.head.clone();
            // It ends without a word only if the writer is gone.
            let _ = head.wait_for(|head| head.closed).await;
            self.join();
            self.readers.close();
            self.queue.failure().map_or(Ok(()), Err)
        })
    }
}

impl SqliteStore {
    async fn chunk(
        &self,
        filter: Filter,
        range: Range,
        direction: Direction,
        size: usize,
    ) -> Result<Chunk, Error> {
        self.with(move |connection| query::events(connection, &filter, range, direction, size)).await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.close();
        self.join();
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("head", &*self.head.borrow()).finish_non_exhaustive()
    }
}

/// A later change of the working directory must not lead readers elsewhere.
fn absolute(path: &Path) -> Result<std::path::PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::Invalid { reason: format!("`path`: {error}") })
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::io("reading from SQLite", std::io::Error::other(error), Outcome::NotAppended))
    })
}
