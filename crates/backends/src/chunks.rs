//! How the stores of this crate stream what they read: a chunk at a time.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use steadfast_core::store::{Direction, Error, Position, StoredEvent};

/// How many events are read at once, at most.
const CHUNK: usize = 256;
/// How many are read first, when nobody knows yet how large they are.
const FIRST: usize = 16;
/// How many bytes of events are read at once, or about that.
pub(crate) const BYTES: usize = 4 << 20;

/// How many events a reader asks for at once: fewer where those before were large.
#[derive(Debug)]
pub(crate) struct Pace(AtomicUsize);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(FIRST))
    }

    pub(crate) fn next(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a chunk of so many events that had so many bytes in all.
    pub(crate) fn learn(&self, events: usize, bytes: usize) {
        if let Some(next) = following(events, bytes) {
            self.0.store(next, Ordering::Relaxed);
        }
    }

    /// Learns from events.
    pub(crate) fn learn_of(&self, events: &[StoredEvent]) {
        self.learn(events.len(), events.iter().map(|stored| stored.event.weight()).sum());
    }
}

/// Returns how many events have as many bytes as may be read at once, if they are as large as these; none if there are none.
fn following(events: usize, bytes: usize) -> Option<usize> {
    let mean = bytes.checked_div(events)?.max(1);
    Some((BYTES / mean).clamp(1, CHUNK))
}

/// The part of the log that is still to be read; both ends are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) after: Position,
    pub(crate) before: Position,
}

impl Range {
    const NONE: Self = Self { after: Position::START, before: Position::START };

    /// Everything.
    #[cfg(feature = "redis")]
    pub(crate) const ALL: Self =
        Self { after: Position::START, before: Position::from_parts(u64::MAX, u64::MAX) };

    /// Takes what a query leaves of this range that begins `from` a position.
    pub(crate) fn from(self, direction: Direction, from: Option<Position>) -> Self {
        match (direction, from) {
            (_, None) => self,
            (Direction::Forward, Some(after)) => Self { after: after.max(self.after), ..self },
            (Direction::Backward, Some(before)) => Self { before: before.min(self.before), ..self },
        }
    }

    /// Takes what is left when all up to the event at `last` was read, and nothing if there is no such event.
    pub(crate) fn rest(self, direction: Direction, last: Option<Position>) -> Self {
        last.map_or(Self::NONE, |last| self.from(direction, Some(last)))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.after >= self.before
    }
}

/// Events that were read at once, and what is still to be read.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) rest: Range,
}

impl Chunk {
    /// Makes a chunk of what was found in `range`, behind which there may be `more`.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn new(events: Vec<StoredEvent>, range: Range, direction: Direction, more: bool) -> Self {
        let last = events.last().map(|last| last.position).filter(|_| more);
        Self { events, rest: range.rest(direction, last) }
    }
}

/// Streams up to `limit` events in `range`; `read` returns a chunk of at most as many as it is given.
pub(crate) fn stream<F>(
    range: Range,
    limit: Option<u64>,
    read: impl Fn(Range, usize) -> F + Send,
) -> impl Stream<Item = Result<StoredEvent, Error>> + Send
where
    F: Future<Output = Result<Chunk, Error>> + Send,
{
    let state = (range, limit.unwrap_or(u64::MAX), read, Pace::new());
    let chunks = stream::try_unfold(state, async move |(range, limit, read, pace)| {
        if range.is_empty() || limit == 0 {
            return Ok(None);
        }
        let size = usize::try_from(limit).unwrap_or(usize::MAX).min(pace.next());
        let Chunk { events, rest } = read(range, size).await?;
        pace.learn_of(&events);
        let limit = limit.saturating_sub(events.len() as u64);
        Ok(Some((stream::iter(events).map(Ok), (rest, limit, read, pace))))
    });
    chunks.try_flatten()
}

#[cfg(test)]
mod tests {
    use steadfast_core::Event;
    use steadfast_core::store::Revision;

    use super::*;

    fn stored(number: u64) -> StoredEvent {
        StoredEvent {
            position: Position::from_parts(number, 0),
            stream: "s".into(),
            revision: Revision(number - 1),
            event: Event::new("/chunks", "e").build(),
        }
    }

    /// Reads a log of 1 to 1000 of which every third event passes, ten events at most at a time.
    async fn read(range: Range, direction: Direction, size: usize) -> Result<Chunk, Error> {
        let within = |number: &u64| {
            let position = Position::from_parts(*number, 0);
            position > range.after && position < range.before
        };
        let mut numbers: Vec<u64> = (1..=1000).filter(within).collect();
        if direction == Direction::Backward {
            numbers.reverse();
        }
        let looked = &numbers[..numbers.len().min(size.min(10))];
        let events = looked.iter().filter(|number| *number % 3 == 0).map(|number| stored(*number)).collect();
        let last = looked.last().map(|number| Position::from_parts(*number, 0));
        Ok(Chunk { events, rest: range.rest(direction, last) })
    }

    #[test]
    fn as_many_follow_as_have_the_bytes() {
        for (events, bytes, next) in [
            (0, 0, None),
            (16, 16 * 300, Some(CHUNK)),
            (16, 16 * (BYTES / CHUNK), Some(CHUNK)),
            (256, 256 << 15, Some(128)),
            (16, 16 << 20, Some(4)),
            (4, 4 << 20, Some(4)),
            (1, 3 << 20, Some(1)),
            (1, 10 << 20, Some(1)),
            (1, 100, Some(CHUNK)),
            (3, 0, Some(CHUNK)),
        ] {
            assert_eq!(following(events, bytes), next, "{events} events of {bytes} bytes");
        }
        let pace = Pace::new();
        pace.learn(2, 10 << 20);
        pace.learn(0, 0);
        assert_eq!(pace.next(), 1, "a chunk of nothing teaches nothing");
    }

    #[tokio::test]
    async fn large_events_are_asked_for_a_few_at_a_time() {
        let asked = std::sync::Mutex::new(vec![]);
        let whole = Range { after: Position::START, before: Position::from_parts(41, 0) };
        let events = stream(whole, None, |range, size| {
            asked.lock().expect("no panic").push(size);
            let first = range.after.parts().0 + 1;
            let numbers = first..(first + size as u64).min(41);
            let large = |number| {
                let mut stored = stored(number);
                // Large in the middle.
                let bytes = if (17..=30).contains(&number) { 1 << 20 } else { 10 };
                stored.event = Event::new("/chunks", "e").data("text/plain", vec![b'x'; bytes]);
                stored
            };
            let events: Vec<_> = numbers.map(large).collect();
            let last = events.last().map(|last| last.position);
            std::future::ready(Ok(Chunk { events, rest: range.rest(Direction::Forward, last) }))
        });
        assert_eq!(events.count().await, 40);
        // All of the second chunk came at once: that of the first was small.
        let asked = asked.into_inner().expect("no panic");
        assert_eq!(asked[..2], [FIRST, CHUNK]);
        assert!(asked[2] < 16, "{asked:?}");
    }

    #[tokio::test]
    async fn chunks_with_nothing_in_them_are_no_end() {
        let whole = Range { after: Position::START, before: Position::from_parts(1001, 0) };
        for (direction, first) in [(Direction::Forward, 3), (Direction::Backward, 999)] {
            for limit in [None, Some(0), Some(7), Some(5_000)] {
                let events = stream(whole, limit, |range, size| read(range, direction, size));
                let events: Vec<_> = events.collect().await;
                assert_eq!(events.len() as u64, limit.unwrap_or(u64::MAX).min(333));
                let begins = events.first().map(|event| event.as_ref().map(|e| e.position.parts().0).ok());
                assert_eq!(begins, (limit != Some(0)).then_some(Some(first)));
            }
        }
    }
}
