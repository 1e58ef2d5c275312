use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use steadfast_base::{Classify, Deadline};

use crate::Event;
use crate::store::Durability;
use crate::transport::{Sink, Source};

/// Opens the transport under test. Each case gets a factory of its own.
pub trait TransportFactory: Send {
    /// Opens a destination that nobody has used before; called once, first.
    fn open(&mut self) -> BoxFuture<'_, Opened>;

    /// Cuts the connections of what [`open`](Self::open) returned, or kills the server, and lets none be made until
    /// [`restore`](Self::restore). None if this transport has no connection that can be lost.
    ///
    /// What was sent with [`Durability::Written`], or the most that the transport can do if that is less, must
    /// outlive it: a transport that forgets with its server has its connections cut, but not its server killed.
    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        None
    }

    /// Lets connections be made again, or starts the server again where it was. Returns when that is possible, not
    /// when it has happened.
    fn restore(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Makes a sink to where nobody answers. None if such a thing cannot be.
    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        None
    }

    /// Returns how many events, sent one by one, this transport takes at most while a receiver with
    /// `in_flight_max` = 1 settles nothing. None if it stores without a bound, so that senders never wait.
    fn capacity(&self) -> Option<usize> {
        None
    }
}

/// A transport under test.
#[derive(Clone)]
#[non_exhaustive]
pub struct Opened {
    /// Where events come from.
    pub source: Arc<dyn Source>,
    /// What makes them come.
    pub feed: Arc<dyn Feed>,
    /// Where they are sent to, if it is a sink that makes them come.
    pub sink: Option<Arc<dyn Sink>>,
}

impl Opened {
    /// Takes a source and the sink that feeds it.
    pub fn new(source: Arc<dyn Source>, sink: Arc<dyn Sink>) -> Self {
        Self { source, feed: Arc::new(SinkFeed(Arc::clone(&sink))), sink: Some(sink) }
    }

    /// Takes a source without a sink, such as the changes of a database; cases about sinks are not run.
    pub fn fed(source: Arc<dyn Source>, feed: Arc<dyn Feed>) -> Self {
        Self { source, feed, sink: None }
    }
}

/// What an event of the suite says: the `number`th of its key, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The key.
    pub key: u32,
    /// Which event of that key.
    pub number: u32,
}

/// Makes a source yield events, by whatever brings them about: an insert, a tick, an append.
pub trait Feed: Send + Sync {
    /// Makes one event for each mark, in this order, each with the partition key of its mark; returns once they are
    /// on their way for certain. It tries again where that can help.
    fn feed<'a>(&'a self, marks: &'a [Mark]) -> BoxFuture<'a, Result<(), String>>;

    /// Reads back which mark an event was made for; none for an event that the feed did not ask for, which the
    /// suite acknowledges and passes over.
    fn mark(&self, event: &Event) -> Option<Mark>;
}

/// Feeds a source through a sink.
struct SinkFeed(Arc<dyn Sink>);

impl Feed for SinkFeed {
    fn feed<'a>(&'a self, marks: &'a [Mark]) -> BoxFuture<'a, Result<(), String>> {
        let events: Vec<Event> = marks.iter().map(event).collect();
        Box::pin(async move {
            let durability = usual(&*self.0);
            loop {
                let deadline = Deadline::within(Duration::from_secs(10));
                match self.0.send(&events, durability, deadline).await {
                    Ok(_) => return Ok(()),
                    Err(error) if error.classify().is_retryable() => {
                        tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(20))).await;
                    }
                    Err(error) => return Err(format!("send failed: {error}")),
                }
            }
        })
    }

    fn mark(&self, event: &Event) -> Option<Mark> {
        mark(event)
    }
}

/// Makes the event for a mark.
pub(super) fn event(mark: &Mark) -> Event {
    let Mark { key, number } = mark;
    Event::new("/conformance", "conformance.fed")
        .subject(format!("key-{key}"))
        .data("text/plain", format!("{key} {number}"))
}

/// Reads the mark of an event that [`event`] made.
pub(super) fn mark(event: &Event) -> Option<Mark> {
    let (key, number) = std::str::from_utf8(event.data()).ok()?.split_once(' ')?;
    Some(Mark { key: key.parse().ok()?, number: number.parse().ok()? })
}

/// The durability at which cases send that are not about durability.
pub(super) fn usual(sink: &dyn Sink) -> Durability {
    sink.capabilities().durability_max.min(Durability::Written)
}
