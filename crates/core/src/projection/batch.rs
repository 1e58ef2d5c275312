//! Which events are applied at once.

use futures::FutureExt;
use futures::stream::{BoxStream, Fuse, StreamExt};

use crate::store::{self, StoredEvent};

pub(super) type Events<'s> = BoxStream<'s, Result<StoredEvent, store::Error>>;

/// Events in batches of those that are there, as many as may be in memory.
pub(super) struct Batches<'s> {
    events: Fuse<Events<'s>>,
    count_max: usize,
    bytes_max: usize,
}

impl<'s> Batches<'s> {
    /// Makes batches of at most `count_max` events, which end with the one that makes them `bytes_max` or more.
    pub(super) fn new(events: Events<'s>, count_max: usize, bytes_max: usize) -> Self {
        Self { events: events.fuse(), count_max, bytes_max }
    }

    /// Waits for the next event, and takes with it those that are there already. What ends the stream comes with the events
    /// before it.
    pub(super) async fn next(&mut self) -> Option<(Vec<StoredEvent>, Option<store::Error>)> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(self.events.next().await?);
        while let Some(event) = next {
            match event {
                Ok(event) => {
                    bytes += event.event.weight();
                    batch.push(event);
                }
                Err(error) => return Some((batch, Some(error))),
            }
            if batch.len() >= self.count_max || bytes >= self.bytes_max {
                break;
            }
            next = self.events.next().now_or_never().flatten();
        }
        Some((batch, None))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::Event;
    use crate::store::{Position, Revision};

    fn stored(size: usize) -> Result<StoredEvent, store::Error> {
        let event = Event::new("/batches", "e").data("text/plain", vec![b'x'; size]);
        Ok(StoredEvent { position: Position::START, stream: "s".into(), revision: Revision(0), event })
    }

    async fn lengths(events: impl Iterator<Item = Result<StoredEvent, store::Error>> + Send) -> Vec<usize> {
        let mut batches = Batches::new(stream::iter(events).boxed(), 4, 10_000);
        let mut lengths = vec![];
        while let Some((batch, failed)) = batches.next().await {
            lengths.push(batch.len());
            lengths.extend(failed.map(|_| 99));
        }
        lengths
    }

    #[tokio::test]
    async fn a_batch_ends_by_count_by_bytes_and_with_a_failure() {
        assert_eq!(lengths((0..10).map(|_| stored(1))).await, [4, 4, 2]);
        assert_eq!(lengths((0..5).map(|_| stored(5_000))).await, [2, 2, 1]);
        assert_eq!(lengths((0..3).map(|_| stored(20_000))).await, [1, 1, 1], "one at least");
        let fails = (0..6).map(|number| if number == 5 { Err(store::Error::Poisoned) } else { stored(1) });
        assert_eq!(lengths(fails).await, [4, 1, 99]);
        assert_eq!(lengths(std::iter::empty()).await, [0; 0]);
    }

    #[tokio::test]
    async fn a_batch_does_not_wait_for_more() {
        let mut batches = Batches::new(stream::iter([stored(1)]).chain(stream::pending()).boxed(), 4, 10_000);
        let (batch, failed) = batches.next().await.expect("an event");
        assert!(batch.len() == 1 && failed.is_none());
        assert!(batches.next().now_or_never().is_none(), "it waits for the next");
    }
}
