//! Reading all of a log without making an event of each record: what is asked for is looked at where it lies.

use std::time::SystemTime;

use bytes::Bytes;
use steadfast_core::EventId;
use steadfast_core::store::{Error, Position, Query, Revision, StoredEvent};
use tokio::task::JoinHandle;

use super::block::{Block, FrameAt};
use super::format::names::Names;
use super::format::raw::{Raw, from_epoch, text};
use super::format::record::Malformed;
use super::log::FileLog;
use super::reader::{Reader, damaged};
use super::shared::read_error;

impl FileLog {
    /// Reads all events after `after` that can be read now, in the order of the log, a mebibyte of it at a time.
    ///
    /// It is for whoever reads much of the log and keeps little of it, such as a view that is rebuilt. A read by
    /// [`EventStore::read`](steadfast_core::store::EventStore::read) makes an event of each record, which takes longer
    /// than reading it; here nothing is allocated for an event until [`EventRef::to_stored`] asks for it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use steadfast_backends::file::{Config, FileLog};
    /// use steadfast_core::Event;
    /// use steadfast_core::store::{Batch, Condition, Durability, EventStore, Position};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let config = Config { segment_size: "64KiB".parse()?, ..Config::default() };
    /// let log = FileLog::open(folder.path(), config)?;
    /// let created = Event::new("/orders", "order.created").build();
    /// log.append(Batch::to_stream("order-1", [created]), Condition::Any, Durability::Written).await?;
    /// let mut orders = 0;
    /// let mut replay = log.replay(Position::START)?;
    /// while let Some(page) = replay.next().await? {
    ///     for event in &page {
    ///         orders += u64::from(event?.kind() == "order.created");
    ///     }
    /// }
    /// assert_eq!(orders, 1);
    /// # log.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn replay(&self, after: Position) -> Result<Replay, Error> {
        self.shared.check_open()?;
        let query = Query { from: Some(after), ..Query::default() };
        Ok(Replay { state: State::Idle(Box::new(Reader::new(&self.shared, query))) })
    }
}

/// The events of a log, page by page; see [`FileLog::replay`].
#[derive(Debug)]
pub struct Replay {
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Reader>),
    /// The next page is read while the one before is looked at.
    Reading(JoinHandle<Result<(Reader, Block), Error>>),
    Ended,
}

impl State {
    fn of(reader: Reader) -> Self {
        if reader.is_done() { Self::Idle(Box::new(reader)) } else { Self::read(reader) }
    }

    fn read(mut reader: Reader) -> Self {
        Self::Reading(tokio::task::spawn_blocking(move || reader.next_block().map(|block| (reader, block))))
    }
}

impl Replay {
    /// Returns the next page, or none at the end. A page may hold no events.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Io`]; it ends with the first.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(reader) if reader.is_done() => return Ok(None),
            State::Idle(reader) => State::read(*reader),
            state => state,
        };
        let State::Reading(reading) = &mut self.state else { return Ok(None) };
        let read = reading.await;
        self.state = State::Ended;
        let (reader, block) = read.unwrap_or_else(|error| Err(read_error(error.into())))?;
        self.state = State::of(reader);
        Ok(Some(Page { block }))
    }
}

/// Some events that follow each other.
#[derive(Debug)]
pub struct Page {
    block: Block,
}

impl Page {
    /// Returns its events, in order, without those that were deleted by now.
    pub fn iter(&self) -> PageEvents<'_> {
        let frames = self.block.frames().iter().rev();
        let (position, behind) = (0, 0);
        PageEvents { block: &self.block, frames, rest: &[], position, behind, at: None, source: "", kind: "" }
    }
}

impl<'a> IntoIterator for &'a Page {
    type Item = Result<EventRef<'a>, Error>;
    type IntoIter = PageEvents<'a>;

    fn into_iter(self) -> PageEvents<'a> {
        self.iter()
    }
}

/// The events of a [`Page`].
#[derive(Debug)]
pub struct PageEvents<'a> {
    block: &'a Block,
    frames: std::iter::Rev<std::slice::Iter<'a, FrameAt>>,
    /// What is left of the frame that is being taken apart, and its positions.
    rest: &'a [u8],
    position: u64,
    behind: u64,
    at: Option<&'a FrameAt>,
    /// The texts of the event before, which need not be checked again where they are the same.
    source: &'a str,
    kind: &'a str,
}

impl<'a> PageEvents<'a> {
    #[inline]
    fn take(&mut self) -> Result<Option<EventRef<'a>>, Malformed> {
        let raw = Raw::take(&mut self.rest)?;
        let position = self.position;
        self.position += 1;
        if raw.erased || !self.block.wants(position) {
            return Ok(None);
        }
        let deletions = self.block.deletions();
        if position < deletions.end() && raw.is_deleted(deletions)? {
            return Ok(None);
        }
        if raw.source() != self.source.as_bytes() {
            self.source = text(raw.source())?;
        }
        if raw.kind() != self.kind.as_bytes() {
            self.kind = text(raw.kind())?;
        }
        Ok(Some(EventRef { stream: text(raw.stream)?, source: self.source, kind: self.kind, position, raw }))
    }

    #[cold]
    fn malformed(&mut self) -> Error {
        self.frames = [].iter().rev();
        self.position = self.behind;
        match self.at {
            Some(frame) => damaged(frame.at, "an event is malformed"),
            None => Error::Damaged { place: "page".to_owned(), problem: "an event is malformed".to_owned() },
        }
    }
}

impl<'a> Iterator for PageEvents<'a> {
    type Item = Result<EventRef<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.position == self.behind {
                let frame = self.frames.next()?;
                self.rest = self.block.payload(frame);
                (self.position, self.behind) = (frame.first, frame.first + u64::from(frame.count));
                self.at = Some(frame);
                continue;
            }
            match self.take() {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(Malformed) => return Some(Err(self.malformed())),
            }
        }
    }
}

/// An event as it lies in a page.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    position: u64,
    stream: &'a str,
    source: &'a str,
    kind: &'a str,
    raw: Raw<'a>,
}

impl<'a> EventRef<'a> {
    /// Its place in the order over all events.
    pub fn position(&self) -> Position {
        Position::from_parts(self.position, 0)
    }

    /// Its stream.
    pub fn stream(&self) -> &'a str {
        self.stream
    }

    /// Its number in its stream.
    pub fn revision(&self) -> Revision {
        Revision(self.raw.revision)
    }

    /// Its identity.
    pub fn id(&self) -> EventId {
        EventId::from_u128(self.raw.id)
    }

    /// Where it comes from.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// Its type.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// What it carries.
    pub fn data(&self) -> &'a [u8] {
        self.raw.data
    }

    /// Returns what it is about, if it says so.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn subject(&self) -> Result<Option<&'a str>, Error> {
        self.raw.subject().map(text).transpose().map_err(|Malformed| self.malformed())
    }

    /// Returns when it happened.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn time(&self) -> Result<SystemTime, Error> {
        let (seconds, nanos) = self.raw.since_epoch();
        from_epoch(seconds, nanos).map_err(|Malformed| self.malformed())
    }

    /// Makes the event that a read returns, which shares nothing with the page.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn to_stored(&self) -> Result<StoredEvent, Error> {
        let data = Bytes::copy_from_slice(self.raw.data);
        let event = self.raw.make_event(&mut Names::default(), data);
        Ok(StoredEvent {
            position: self.position(),
            stream: self.stream.into(),
            revision: self.revision(),
            event: event.map_err(|Malformed| self.malformed())?,
        })
    }

    fn malformed(&self) -> Error {
        let place = format!("position {}", self.position);
        Error::Damaged { place, problem: "the event is malformed".to_owned() }
    }
}
