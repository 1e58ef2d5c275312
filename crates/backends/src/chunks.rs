//! How the stores of this crate stream what they read: a chunk at a time.

use std::future::Future;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use steadfast_core::store::{Direction, Error, Position, StoredEvent};

/// How many events are read at once, at most.
pub(crate) const CHUNK: usize = 256;

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
    /// Makes a chunk of all that was found in `range`, where up to `size` were asked for.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn new(events: Vec<StoredEvent>, range: Range, direction: Direction, size: usize) -> Self {
        let last = events.last().map(|last| last.position).filter(|_| events.len() >= size);
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
    let state = (range, limit.unwrap_or(u64::MAX), read);
    let chunks = stream::try_unfold(state, async move |(range, limit, read)| {
        if range.is_empty() || limit == 0 {
            return Ok(None);
        }
        let size = usize::try_from(limit).unwrap_or(usize::MAX).min(CHUNK);
        let Chunk { events, rest } = read(range, size).await?;
        let limit = limit.saturating_sub(events.len() as u64);
        Ok(Some((stream::iter(events).map(Ok), (rest, limit, read))))
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
