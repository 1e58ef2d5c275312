//! A store in memory: for tests, and for what may be lost with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    Appended, Batch, Capabilities, Condition, Deleted, Direction, Durability, Error, EventStore, Expected,
    Filter, Position, Query, Revision, StoredEvent,
};
use crate::EventId;

/// An [`EventStore`] that keeps everything in memory and loses it with the process.
///
/// The highest durability is [`Durability::Accepted`]: a caller who asks for more is refused rather than
/// deceived. It appends to several streams at once and recognises every batch that it holds. Memory grows with
/// each event, and is freed when its stream is deleted but for a few bytes; a read looks at every event, also when it asks for one stream.
///
/// # Examples
/// ```
/// use futures::TryStreamExt;
/// use steadfast_core::Event;
/// use steadfast_core::store::{Batch, Condition, Durability, EventStore, Expected, MemoryStore, Query};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::store::Error> {
/// let store = MemoryStore::new();
/// let batch = Batch::to_stream("order-1", [Event::new("/orders", "order.created").build()]);
/// let condition = Condition::stream("order-1", Expected::NoStream);
/// store.append(batch, condition, Durability::Accepted).await?;
///
/// let events: Vec<_> = store.read(Query::stream("order-1")).try_collect().await?;
/// assert_eq!(events[0].event.kind(), "order.created");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    log: Mutex<Log>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Log {
    /// All that was ever appended; what was deleted has left its place.
    events: Vec<Slot>,
    streams: HashMap<Arc<str>, Stream>,
    /// For each event, the bounds of its batch in `events`.
    batches: HashMap<EventId, (usize, usize)>,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    id: EventId,
    revision: Revision,
    stored: Option<StoredEvent>,
}

#[derive(Debug, Default)]
struct Stream {
    /// Where its events stand.
    places: Vec<usize>,
    /// The revision of its next event: what was deleted keeps its number.
    next: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    events: usize,
    closed: bool,
}

impl MemoryStore {
    /// How many events a reader takes while it holds the lock.
    const CHUNK: usize = 256;

    /// Creates an empty store.
    pub fn new() -> Self {
        Self { log: Mutex::default(), progress: watch::Sender::new(Progress::default()) }
    }

    fn append_now(
        &self,
        batch: Batch,
        condition: &Condition,
        durability: Durability,
    ) -> Result<Appended, Error> {
        let mut log = self.log.lock();
        if log.closed {
            return Err(Error::Closed);
        }
        let capabilities = self.capabilities();
        batch.check(capabilities.multi_stream)?;
        if durability > capabilities.durability_max {
            return Err(Error::unsupported_durability(durability));
        }
        if let Some(earlier) = log.find(&batch)? {
            return Ok(earlier);
        }
        log.check(condition)?;
        let appended = log.push(batch);
        let events = log.events.len();
        // Under the lock, so that progress never goes backwards.
        self.progress.send_modify(|progress| progress.events = events);
        Ok(appended)
    }

    /// Takes the next events in `range` that pass `filter`, and says where to go on.
    fn chunk(
        &self,
        range: std::ops::Range<usize>,
        direction: Direction,
        filter: &Filter,
    ) -> (VecDeque<StoredEvent>, std::ops::Range<usize>) {
        let log = self.log.lock();
        let (taken, rest) = match direction {
            Direction::Forward => {
                let middle = range.end.min(range.start + Self::CHUNK);
                (range.start..middle, middle..range.end)
            }
            Direction::Backward => {
                let middle = range.start.max(range.end.saturating_sub(Self::CHUNK));
                (middle..range.end, range.start..middle)
            }
        };
        let left = log.events[taken].iter().filter_map(|slot| slot.stored.as_ref());
        let passing = left.filter(|stored| filter.matches(&stored.stream, &stored.event));
        let events = match direction {
            Direction::Forward => passing.cloned().collect(),
            Direction::Backward => passing.rev().cloned().collect(),
        };
        (events, rest)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl EventStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Accepted, true, u64::MAX).deletes()
    }

    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            let mut log = self.log.lock();
            if log.closed {
                return Err(Error::Closed);
            }
            if durability > Durability::Accepted {
                return Err(Error::unsupported_durability(durability));
            }
            if let Some(expected) = expected {
                log.check_stream(stream, expected)?;
            }
            Ok(Deleted { events: log.delete(stream), achieved: Durability::Accepted })
        })
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move { self.append_now(batch, &condition, durability) })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        let Query { filter, from, direction, limit } = query;
        let mut rest = {
            let log = self.log.lock();
            if log.closed {
                return stream::iter([Err(Error::Closed)]).boxed();
            }
            match (direction, from) {
                (_, None) => 0..log.events.len(),
                (Direction::Forward, Some(after)) => log.count_up_to(after)..log.events.len(),
                (Direction::Backward, Some(before)) => 0..log.count_before(before),
            }
        };
        let mut buffer = VecDeque::new();
        let events = std::iter::from_fn(move || {
            while buffer.is_empty() && !rest.is_empty() {
                (buffer, rest) = self.chunk(rest.clone(), direction, &filter);
            }
            buffer.pop_front().map(Ok)
        });
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        stream::iter(events.take(limit)).boxed()
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        let (start, closed) = {
            let log = self.log.lock();
            (log.count_up_to(after), log.closed)
        };
        if closed {
            return stream::iter([Err(Error::Closed)]).boxed();
        }
        let cursor = (start, VecDeque::new(), self.progress.subscribe(), filter);
        stream::unfold(cursor, move |(mut next, mut buffer, mut progress, filter)| async move {
            loop {
                if let Some(event) = buffer.pop_front() {
                    return Some((Ok(event), (next, buffer, progress, filter)));
                }
                let Progress { events, closed } = *progress.borrow_and_update();
                if next < events {
                    let rest;
                    (buffer, rest) = self.chunk(next..events, Direction::Forward, &filter);
                    next = rest.start;
                } else if closed {
                    return None;
                } else {
                    progress.changed().await.ok()?;
                }
            }
        })
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        Box::pin(async move {
            let log = self.log.lock();
            if log.closed {
                return Err(Error::Closed);
            }
            Ok(Position::from_parts(log.events.len() as u64, 0))
        })
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        Box::pin(async move {
            let log = self.log.lock();
            if log.closed { Err(Error::Closed) } else { Ok(log.revision(stream)) }
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let mut log = self.log.lock();
            log.closed = true;
            self.progress.send_modify(|progress| progress.closed = true);
            Ok(())
        })
    }
}

impl Log {
    /// Finds `batch` if it was appended before.
    fn find(&self, batch: &Batch) -> Result<Option<Appended>, Error> {
        let Some((start, end)) =
            batch.events.iter().find_map(|new| self.batches.get(&new.event.id())).copied()
        else {
            return Ok(None);
        };
        let ids = self.events[start..end].iter().map(|slot| slot.id);
        if !ids.eq(batch.events.iter().map(|new| new.event.id())) {
            let reason = "the batch repeats an event of another batch".to_owned();
            return Err(Error::Invalid { reason });
        }
        Ok(Some(Appended { duplicate: true, ..self.place(end - 1) }))
    }

    fn check(&self, condition: &Condition) -> Result<(), Error> {
        match condition {
            Condition::Any => Ok(()),
            Condition::Streams(conditions) => conditions
                .iter()
                .try_for_each(|condition| self.check_stream(&condition.stream, condition.expected)),
            Condition::NoneMatching { filter, after } => {
                let later = self.events[self.count_up_to(*after)..].iter();
                let mut later = later.filter_map(|slot| slot.stored.as_ref());
                if later.any(|stored| filter.matches(&stored.stream, &stored.event)) {
                    return Err(Error::Conflict { stream: Arc::from(""), actual: None });
                }
                Ok(())
            }
        }
    }

    fn check_stream(&self, stream: &str, expected: Expected) -> Result<(), Error> {
        let actual = self.revision(stream);
        let holds = match expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exists => actual.is_some(),
            Expected::Revision(revision) => actual == Some(revision),
        };
        if holds { Ok(()) } else { Err(Error::Conflict { stream: stream.into(), actual }) }
    }

    /// Takes the events of a stream out of their places, and returns how many they were.
    fn delete(&mut self, stream: &str) -> u64 {
        let Some(stream) = self.streams.get_mut(stream) else { return 0 };
        let places = std::mem::take(&mut stream.places);
        places.iter().for_each(|place| self.events[*place].stored = None);
        places.len() as u64
    }

    fn push(&mut self, batch: Batch) -> Appended {
        let start = self.events.len();
        let bounds = (start, start + batch.events.len());
        for new in batch.events {
            let index = self.events.len();
            let stream = self.streams.entry(Arc::clone(&new.stream)).or_default();
            let (id, revision) = (new.event.id(), Revision(stream.next));
            self.batches.insert(id, bounds);
            let position = Position::from_parts(index as u64 + 1, 0);
            let stored = Some(StoredEvent { position, stream: new.stream, revision, event: new.event });
            self.events.push(Slot { id, revision, stored });
            stream.places.push(index);
            stream.next += 1;
        }
        self.place(bounds.1 - 1)
    }

    fn place(&self, index: usize) -> Appended {
        let position = Position::from_parts(index as u64 + 1, 0);
        let revision = self.events[index].revision;
        Appended { position, revision, achieved: Durability::Accepted, duplicate: false }
    }

    fn revision(&self, stream: &str) -> Option<Revision> {
        let places = &self.streams.get(stream)?.places;
        Some(self.events[*places.last()?].revision)
    }

    fn count_up_to(&self, position: Position) -> usize {
        let (major, _) = position.parts();
        usize::try_from(major).unwrap_or(usize::MAX).min(self.events.len())
    }

    fn count_before(&self, position: Position) -> usize {
        let (major, minor) = position.parts();
        self.count_up_to(Position::from_parts(if minor > 0 { major } else { major.saturating_sub(1) }, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store::StoreFactory;

    struct Memory;

    impl StoreFactory for Memory {
        fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
            Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn EventStore> })
        }
    }

    crate::store_conformance!(Memory);
    crate::store_users_conformance!(Memory);
}
