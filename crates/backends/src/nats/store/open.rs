use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use steadfast_core::store::{
    Appended, Batch, Capabilities, Condition, Deleted, Direction, Durability, Error, EventStore, Expected,
    Filter, Outcome, Position, Query, Revision, StoredEvent,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Settings;
use super::access::{Access, EVERY, Which};
use super::bell::Bell;
use super::error::Failure;
use super::group::Append;
use super::known::Known;
use super::read::{Backward, Forward, only};
use super::streams::Streams;
use super::writer::{Delete, Job, Writer};
use crate::nats::connector::Connector;
use crate::nats::{Config, SyncInterval};

/// The least time between two looks for what others have appended.
const POLL_MIN: Duration = Duration::from_millis(1);

/// An [`EventStore`] in a stream of NATS JetStream; see the [module](super).
///
/// # Examples
/// ```no_run
/// use steadfast_backends::nats::Config;
/// use steadfast_backends::nats::store::{NatsStore, Settings};
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::store::Error> {
/// let store = NatsStore::open(Config::default(), Settings::default()).await?;
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// store.append(batch, Condition::Any, Durability::Written).await?;
/// # Ok(()) }
/// ```
pub struct NatsStore {
    access: Arc<Access>,
    streams: Arc<Streams>,
    bell: Arc<Bell>,
    durability_max: Durability,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    writer: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    closed: AtomicBool,
}

impl NatsStore {
    /// Connects, makes the stream if it is not there, and reads as much of it as is needed to recognise the newest
    /// events. Of `config` the connection, `replicas` and `sync` count.
    ///
    /// # Errors
    /// [`Error::Io`] when the server cannot be reached or refuses; [`Error::Invalid`] when the settings are wrong, or the
    /// stream does not keep what it is given; [`Error::Unsupported`] when it was made by a newer version, or the server
    /// is older than 2.10; [`Error::Damaged`] when something else lies in it.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the stream made.
    pub async fn open(config: Config, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let durability_max = match config.sync {
            SyncInterval::Lazy => Durability::Written,
            SyncInterval::Always => Durability::Durable,
        };
        let connector = Connector::new(&config).map_err(|error| {
            Failure::from(error).into_error("preparing the connection to NATS", Outcome::NotAppended)
        })?;
        let waiting_max = settings.waiting_max.max(1);
        let access = Arc::new(Access::new(connector, config, settings));
        // In boxes, for whoever opens a store may hold many futures in one.
        Box::pin(access.prepare(access.until())).await?;
        let streams = Arc::new(Streams::default());
        let known = Box::pin(Known::load(&access, Arc::clone(&streams), access.until())).await?;
        let bell = Arc::new(Bell::default());
        let (jobs, waiting) = mpsc::channel(waiting_max);
        let writer = Writer::new(Arc::clone(&access), known, Arc::clone(&bell), durability_max);
        let writer = tokio::spawn(writer.run(waiting));
        Ok(Self {
            access,
            streams,
            bell,
            durability_max,
            jobs: Mutex::new(Some(jobs)),
            writer: tokio::sync::Mutex::new(Some(writer)),
            closed: AtomicBool::new(false),
        })
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

    /// Gives the writer something to do, and waits until it is done.
    async fn done<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Job) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.lock().clone().ok_or(Error::Closed)?;
        jobs.try_send(job(answer)).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Closed(_) => Error::Closed,
        })?;
        drop(jobs);
        // The writer answers unless it was taken away with its runtime.
        answered.await.unwrap_or_else(|_| Err(Access::out_of_patience("appending to NATS", Outcome::Unknown)))
    }

    async fn append_now(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> Result<Appended, Error> {
        self.check_open()?;
        batch.check(true)?;
        self.check(durability)?;
        let until = self.access.until();
        // What must be asked for first does not hold up the others.
        let mut streams: Vec<&Arc<str>> = batch.events.iter().map(|new| &new.stream).collect();
        if let Condition::Streams(conditions) = &condition {
            streams.extend(conditions.iter().map(|condition| &condition.stream));
        }
        for stream in streams {
            if self.streams.get(stream).is_none() {
                let look_up = self.streams.look_up();
                let found = self.access.stream(stream, until).await?;
                self.streams.found(look_up, stream, found);
            }
        }
        let clear_to = match &condition {
            Condition::NoneMatching { filter, after } => {
                let end = self.access.end(until).await?;
                (!self.access.any(filter, *after, until).await?).then_some(end)
            }
            _ => Some(0),
        };
        let append = Append { batch, condition, clear_to };
        self.done(|answer| Job::Append { append, until, answer }).await
    }

    /// Streams events after `after`, as far as the log reaches now.
    async fn forward(
        &self,
        filter: Filter,
        after: Position,
        limit: u64,
    ) -> Result<impl futures::Stream<Item = Result<StoredEvent, Error>> + Send + '_, Error> {
        let until = self.access.until();
        let (end, since) = match only(&filter) {
            Some(stream) => {
                let stream = self.access.stream(stream, until).await?;
                (stream.last, stream.since)
            }
            None => (self.access.end(until).await?, 0),
        };
        let forward = Forward::begin(&self.access, &filter, after, since, until).await?;
        // Where the filter lets all pass that is read, no more is read than is wanted.
        let passes_all = filter.kinds.is_empty() && filter.subjects.is_empty() && filter.streams.len() < 2;
        let max = if passes_all { usize::try_from(limit).unwrap_or(usize::MAX) } else { usize::MAX };
        let chunks = stream::try_unfold(forward, move |mut forward| async move {
            let found = forward.chunk(&self.access, max, end, self.access.until()).await?;
            Ok::<_, Error>(found.map(|found| (stream::iter(found).map(Ok), forward)))
        });
        let passes = move |e: &StoredEvent| {
            std::future::ready(e.position > after && filter.matches(&e.stream, &e.event))
        };
        Ok(chunks.try_flatten().try_filter(passes))
    }

    /// Streams events before `before`, newest first.
    async fn backward(
        &self,
        filter: Filter,
        before: Option<Position>,
    ) -> Result<impl futures::Stream<Item = Result<StoredEvent, Error>> + Send + '_, Error> {
        let until = self.access.until();
        let backward = match only(&filter) {
            Some(stream) => {
                let stands = self.access.stream(stream, until).await?;
                Backward::one(self.access.subjects.stream(stream), stands)
            }
            None => {
                let end = self.access.end(until).await?;
                Backward::all(before.map_or(end, |before| end.min(before.parts().0)) + 1)
            }
        };
        let chunks = stream::try_unfold(backward, move |mut backward| async move {
            let found = backward.chunk(&self.access, self.access.until()).await?;
            Ok::<_, Error>(found.map(|found| (stream::iter(found).map(Ok), backward)))
        });
        let passes = move |e: &StoredEvent| {
            let precedes = before.is_none_or(|before| e.position < before);
            std::future::ready(precedes && filter.matches(&e.stream, &e.event))
        };
        Ok(chunks.try_flatten().try_filter(passes))
    }
}

impl EventStore for NatsStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.durability_max, true, self.access.settings.remember as u64).deletes()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(self.append_now(batch, condition, durability))
    }

    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            self.check(durability)?;
            let (stream, until) = (stream.into(), self.access.until());
            self.done(|answer| Job::Delete(Delete { stream, expected, until, answer })).await
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let Query { filter, from, direction, limit } = query;
        let limit = limit.unwrap_or(u64::MAX);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        match direction {
            Direction::Forward => {
                let after = from.unwrap_or(Position::START);
                stream::once(self.forward(filter, after, limit)).try_flatten().take(most).boxed()
            }
            Direction::Backward => stream::once(self.backward(filter, from)).try_flatten().take(most).boxed(),
        }
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let access = &self.access;
        let rung = self.bell.listen();
        let passes = {
            let filter = filter.clone();
            move |e: &StoredEvent| {
                std::future::ready(e.position > after && filter.matches(&e.stream, &e.event))
            }
        };
        let begin = async move {
            let forward = Forward::begin(access, &filter, after, 0, access.until()).await?;
            Ok(stream::try_unfold((forward, rung), move |(mut forward, mut rung)| async move {
                loop {
                    // Looked at before reading: what is appended meanwhile rings again.
                    if rung.borrow_and_update().closed {
                        return Ok(None);
                    }
                    let found = forward.chunk(access, usize::MAX, u64::MAX, access.until()).await?;
                    if let Some(found) = found {
                        return Ok::<_, Error>(Some((stream::iter(found).map(Ok), (forward, rung))));
                    }
                    let poll = access.settings.poll.0.max(POLL_MIN);
                    if let Ok(Err(_)) = tokio::time::timeout(poll, rung.changed()).await {
                        return Ok(None);
                    }
                }
            })
            .try_flatten())
        };
        // A connection that closing takes away is the end, no failure.
        let ends =
            |found: &Result<StoredEvent, Error>| std::future::ready(!matches!(found, Err(Error::Closed)));
        stream::once(begin).try_flatten().try_filter(passes).take_while(ends).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(async {
            self.check_open()?;
            let newest = self.access.message(Which::Last(EVERY), self.access.until()).await?;
            newest
                .map_or(Ok(Position::START), |newest| Ok(self.access.decode(&newest)?.head(newest.sequence)))
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            self.check_open()?;
            let stream = self.access.stream(stream, self.access.until()).await?;
            Ok(stream.revision().map(Revision))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.closed.store(true, Ordering::Release);
            // What was accepted is finished: the writer ends when nobody can send any more.
            drop(self.jobs.lock().take());
            if let Some(writer) = self.writer.lock().await.take() {
                let _ = writer.await;
            }
            self.bell.close();
            self.access.connector.close();
            Ok(())
        })
    }
}

impl std::fmt::Debug for NatsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsStore").field("settings", &self.access.settings).finish_non_exhaustive()
    }
}
