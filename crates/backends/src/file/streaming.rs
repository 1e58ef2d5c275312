//! Streams of events, made of chunks that are read off the runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::stream::{self, BoxStream, Stream, StreamExt};
use steadfast_core::store::{Error, Filter, Position, StoredEvent};
use tokio::task::JoinHandle;

use super::reader::{Chunk, Reader};
use super::shared::{Shared, read_error};

/// Events, one by one, up to the first error.
///
/// What `try_flatten` does, but each event is made where it is handed out and not moved on the way.
pub(super) struct Events {
    /// What is read at once.
    reads: BoxStream<'static, Result<Chunk, Error>>,
    read: Option<Chunk>,
    ended: bool,
}

impl Events {
    fn of(reads: impl Stream<Item = Result<Chunk, Error>> + Send + 'static) -> Self {
        Self { reads: reads.boxed(), read: None, ended: false }
    }

    /// Takes what is read next; says whether there is more.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<(), Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.reads.poll_next_unpin(context));
        self.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next.map(|read| {
            self.read = Some(read?);
            Ok(())
        }))
    }
}

impl Stream for Events {
    type Item = Result<StoredEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let events = self.get_mut();
        loop {
            if let Some(read) = &mut events.read {
                match read.next() {
                    Some(Ok(event)) => return Poll::Ready(Some(Ok(event))),
                    Some(Err(error)) => {
                        (events.read, events.ended) = (None, true);
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => events.read = None,
                }
            }
            match ready!(events.poll_read(context)) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Streams what matches `filter` after `after`, then what comes, until the log is closed.
pub(super) fn follow(shared: &Arc<Shared>, filter: Filter, after: Position) -> Events {
    let (reader, head) = (Reader::after(shared, filter, after), shared.head.subscribe());
    Events::of(stream::try_unfold((Next::Idle(Box::new(reader)), head), async |(mut next, mut head)| {
        loop {
            let (reader, found) = match next {
                Next::Idle(mut reader) => {
                    let now = *head.borrow_and_update();
                    reader.extend(now.position);
                    if reader.is_done() {
                        reader.rest();
                        if now.closed || head.changed().await.is_err() {
                            return Ok(None);
                        }
                        next = Next::Idle(reader);
                        continue;
                    }
                    chunk(*reader).await?
                }
                Next::Reading(reading) => finish(reading).await?,
            };
            next = Next::of(reader);
            if !found.is_empty() {
                return Ok(Some((found, (next, head))));
            }
        }
    }))
}

/// Streams what the reader finds.
pub(super) fn events(reader: Reader) -> Events {
    Events::of(stream::try_unfold(Next::Idle(Box::new(reader)), async |mut next| {
        loop {
            let (reader, found) = match next {
                Next::Idle(reader) if reader.is_done() => return Ok(None),
                Next::Idle(reader) => chunk(*reader).await?,
                Next::Reading(reading) => finish(reading).await?,
            };
            next = Next::of(reader);
            if !found.is_empty() {
                return Ok(Some((found, next)));
            }
        }
    }))
}

/// What a stream of events goes on with.
enum Next {
    Idle(Box<Reader>),
    Reading(JoinHandle<Result<(Reader, Chunk), Error>>),
}

impl Next {
    /// Has what comes next read while what was found is taken apart.
    fn of(reader: Reader) -> Self {
        if reader.is_done() { Self::Idle(Box::new(reader)) } else { Self::Reading(read(reader)) }
    }
}

/// Takes the next events off a reader, on a thread that may block.
pub(super) async fn chunk(reader: Reader) -> Result<(Reader, Chunk), Error> {
    finish(read(reader)).await
}

fn read(mut reader: Reader) -> JoinHandle<Result<(Reader, Chunk), Error>> {
    tokio::task::spawn_blocking(move || reader.next().map(|found| (reader, found)))
}

async fn finish(reading: JoinHandle<Result<(Reader, Chunk), Error>>) -> Result<(Reader, Chunk), Error> {
    reading.await.unwrap_or_else(|error| Err(read_error(error.into())))
}
