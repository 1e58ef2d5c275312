use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use steadfast_core::store::{
    Appended, Batch, Capabilities, Condition, Deleted, Direction, Durability, Error, EventStore, Expected,
    Filter, Outcome, Position, Query, Revision, StoredEvent,
};
use tokio::sync::watch;

use super::Settings;
use super::append::{Answer, Request};
use super::delete::{delete, finish};
use super::error::{APPENDING, connecting, gone, of, strange, unknown};
use super::facts::{Found, Sync};
use super::read::{chunk, revision, up_to};
use super::session::{ATTEMPTS_MAX, Session};
use crate::chunks::{self, Pace, Range};
use crate::redis::Config;

/// How often an append looks at what stands behind its condition, before it gives way to all who append meanwhile.
const LOOKS_MAX: u32 = 16;

/// An [`EventStore`] in Redis; see the [module](super).
///
/// # Examples
/// ```no_run
/// use steadfast_backends::redis::Config;
/// use steadfast_backends::redis::store::{RedisStore, Settings};
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::store::Error> {
/// let store = RedisStore::open(Config::default(), Settings::default()).await?;
/// // Less where the server does not sync.
/// assert_eq!(store.capabilities().durability_max, Durability::Durable);
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// store.append(batch, Condition::Any, Durability::Durable).await?;
/// # Ok(()) }
/// ```
pub struct RedisStore {
    session: Session,
    found: Found,
    bell: watch::Sender<Rung>,
}

/// What wakes the subscriptions of this process.
#[derive(Debug, Clone, Copy, Default)]
struct Rung {
    times: u64,
    closed: bool,
}

/// Why an attempt to append has failed.
enum Failure {
    /// The store has said no: the batch is not there.
    Refused(Error),
    /// It was not asked, or has not answered. Asked `again`, by another connection, it recognises a batch that is there.
    Failed { error: Error, again: bool },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed { error, again: false }
    }
}

impl RedisStore {
    /// Connects, asks what the server keeps, and makes what is missing.
    ///
    /// Of `config` it uses where the server is and as whom, `persistence`, `answer_within` and `seed`; the rest is a
    /// transport's.
    ///
    /// # Errors
    /// [`Error::Io`] when the server cannot be reached or refuses; [`Error::Unsupported`] when the store was made by a
    /// newer version; [`Error::Invalid`] when the settings are wrong, or the server does not keep what they say.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the store made.
    pub async fn open(config: Config, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        if config.answer_within.0.is_zero() {
            return Err(Error::Invalid { reason: "`answerWithin`: choose more than zero".to_owned() });
        }
        let session = Session::new(&config, settings)?;
        let key = &session.keys.deleting();
        let unfinished = session.ask(|mut commands| async move {
            ::redis::cmd("SMEMBERS").arg(key).query_async::<Vec<String>>(&mut commands).await
        });
        let unfinished = unfinished.await?;
        for stream in unfinished {
            finish(&session, &stream).await?;
        }
        let found = *session.facts.found.get().expect("it was greeted");
        Ok(Self { session, found, bell: watch::Sender::new(Rung::default()) })
    }

    fn check(&self, durability: Durability) -> Result<(), Error> {
        if durability > self.found.sync.durability_max() {
            return Err(Error::unsupported_durability(durability));
        }
        Ok(())
    }

    async fn append_now(
        &self,
        batch: &Batch,
        condition: &Condition,
        durability: Durability,
    ) -> Result<Appended, Error> {
        self.session.check_open()?;
        batch.check(true)?;
        self.check(durability)?;
        let request = Request::new(batch, condition)?;
        let mut after = request.none.map_or(Position::START, |(_, after)| after);
        let (mut attempts, mut looks, mut lost) = (1, 0, false);
        // What was lost once may be there, whatever has failed after that.
        let told = |lost, error| if lost { unknown(APPENDING, error) } else { error };
        loop {
            let failure = match self.attempt(&request, after, durability).await {
                Ok(Some(appended)) => {
                    self.bell.send_modify(|rung| rung.times += 1);
                    // What this process has sent before the connection went is no repetition to the caller.
                    return Ok(Appended { duplicate: appended.duplicate && !lost, ..appended });
                }
                Ok(None) if looks == LOOKS_MAX => return Err(told(lost, Error::Overloaded)),
                Ok(None) => {
                    looks += 1;
                    match self.look(&request, after).await {
                        Ok(seen) => {
                            after = seen;
                            continue;
                        }
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Refused(error) => return Err(error),
                Failure::Failed { error, again } => {
                    lost |= error.outcome() == Outcome::Unknown;
                    if !again || attempts == ATTEMPTS_MAX {
                        return Err(told(lost, error));
                    }
                    attempts += 1;
                }
            }
        }
    }

    /// Appends in one step; none if there are too many events for that step to look at.
    async fn attempt(
        &self,
        request: &Request<'_>,
        after: Position,
        durability: Durability,
    ) -> Result<Option<Appended>, Failure> {
        let _turn = self.session.enter()?;
        let Session { appends, facts, keys, .. } = &self.session;
        let connection = self.session.connect(appends).await?;
        let answer = match request.send(appends, &connection, keys, facts.newest().seen, after).await {
            Ok(answer) => answer,
            Err(failed) => {
                let error = of(APPENDING, &failed, Outcome::Unknown);
                // It is another's replica by now; the next connection may find the one that is not.
                let moved = failed.to_string().contains("READONLY");
                if moved {
                    appends.renew("the server is a replica").await;
                }
                return Err(Failure::Failed { again: moved || error.outcome() == Outcome::Unknown, error });
            }
        };
        let (position, revision, duplicate, touched) = match answer.ok_or_else(|| strange(APPENDING))? {
            Answer::Appended { position, revision } => (position, revision, false, true),
            Answer::Duplicate { position, revision, touched } => (position, revision, true, touched),
            Answer::Behind => return Ok(None),
            Answer::Refused(error) => return Err(Failure::Refused(error)),
            Answer::Layout(version) => {
                // The next connection finds out what has become of it.
                appends.renew("the store is gone").await;
                tracing::debug!(%version, "the keys are not those of this store");
                return Err(Failure::Failed { error: gone(APPENDING), again: true });
            }
        };
        if !touched && self.found.sync == Sync::OnDemand && durability > Durability::Accepted {
            return Err(unknown(APPENDING, Error::Full).into());
        }
        let achieved = self.session.make_safe(&connection, durability).await.map_err(|error| {
            Failure::Failed { again: true, error: unknown(APPENDING, connecting(&error)) }
        })?;
        if achieved == Durability::Durable {
            facts.kept(position);
        }
        facts.saw(position);
        Ok(Some(Appended { position, revision, achieved, duplicate }))
    }

    /// Looks for what matches the condition of an append after a position; returns up to where nothing does.
    async fn look(&self, request: &Request<'_>, after: Position) -> Result<Position, Failure> {
        let Some((filter, _)) = request.none else { return Ok(after) };
        let head = self.session.head().await?;
        let range = up_to(head).from(Direction::Forward, Some(after));
        let mut matching = std::pin::pin!(self.events(filter.clone(), range, Direction::Forward, Some(1)));
        match matching.try_next().await? {
            Some(_) => Err(Failure::Refused(Error::Conflict { stream: "".into(), actual: None })),
            None => Ok(head.max(after)),
        }
    }

    fn events(
        &self,
        filter: Filter,
        range: Range,
        direction: Direction,
        limit: Option<u64>,
    ) -> impl futures::Stream<Item = Result<StoredEvent, Error>> + Send {
        let reader = Arc::new((filter, Pace::new()));
        chunks::stream(range, limit, move |range, size| {
            let reader = Arc::clone(&reader);
            async move { chunk(&self.session, &reader.0, range, direction, size, &reader.1).await }
        })
    }
}

impl EventStore for RedisStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.found.sync.durability_max(), true, self.found.deduplicated_events).deletes()
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
            self.session.check_open()?;
            self.check(durability)?;
            delete(&self.session, stream, expected, durability).await
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.session.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let start = async move {
            let Query { filter, from, direction, limit } = query;
            // Of one stream all that is there may be read, without asking for the head: what is appended later has a later
            // revision. Where a sync is waited for, the head says for what.
            let alone = filter.streams.len() == 1 && self.found.sync != Sync::OnDemand;
            let range = if alone { Range::ALL } else { up_to(self.session.readable_head().await?) };
            Ok(self.events(filter, range.from(direction, from), direction, limit))
        };
        stream::once(start).try_flatten().boxed()
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if let Err(closed) = self.session.check_open() {
            return stream::iter([Err(closed)]).boxed();
        }
        let state = (after, self.bell.subscribe(), filter, Pace::new());
        let poll = self.session.settings.poll.0.max(std::time::Duration::from_millis(1));
        let chunks = stream::try_unfold(state, move |(mut after, mut rung, filter, pace)| async move {
            loop {
                // Looked at before reading: what is appended meanwhile rings again.
                if rung.borrow_and_update().closed {
                    return Ok(None);
                }
                let head = self.session.readable_head().await?;
                self.session.facts.check_reader(after, head)?;
                if head > after {
                    let range = Range { after, ..up_to(head) };
                    let found =
                        chunk(&self.session, &filter, range, Direction::Forward, pace.next(), &pace).await?;
                    // All up to the head has been seen where nothing is left.
                    after = if found.rest.is_empty() { head } else { found.rest.after };
                    if found.events.is_empty() {
                        continue;
                    }
                    return Ok(Some((stream::iter(found.events).map(Ok), (after, rung, filter, pace))));
                }
                if let Ok(Err(_)) = tokio::time::timeout(poll, rung.changed()).await {
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
            self.session.check_open()?;
            self.session.readable_head().await
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            self.session.check_open()?;
            revision(&self.session, stream).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.bell.send_modify(|rung| rung.closed = true);
            self.session.close().await
        })
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore")
            .field("settings", &self.session.settings)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}
