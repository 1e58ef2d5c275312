//! Reading events back: by position, by stream, either way. Calls block and are made off the runtime.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use steadfast_base::disk::DiskFile;
use steadfast_core::store::{Direction, Error, Filter, Position, Query, Revision, StoredEvent};

use super::archived::readable_before;
use super::block::{Block, FrameAt};
use super::buffers::{self, Buffers};
use super::format::Offset;
use super::format::frame::{self, Frame, Invalid};
use super::format::names::Names;
use super::format::raw::Raw;
use super::format::record::Malformed;
use super::format::segment;
use super::index::{Checkpoint, Deletions};
use super::shared::{Shared, read_error};
use super::trail::Trail;
use super::window::{Window, until};

/// How many events, and about how many bytes of segments, are read in one go at most.
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 1 << 20;
/// How much is read from the disk at once.
const AHEAD: usize = 64 << 10;
/// That is done where all that is left are so few events, such as those that have just been appended; else more is read.
const FEW: u64 = 128;

/// Events that were read.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Read ahead, so that some may be deleted by the time they are handed out.
    Events(VecDeque<StoredEvent>, Arc<Deletions>),
    Block(Block),
}

impl Chunk {
    /// Says that it holds none for certain.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Events(events, _) if events.is_empty())
    }
}

impl Iterator for Chunk {
    type Item = Result<StoredEvent, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Events(events, deletions) => {
                let is_there = |event: &StoredEvent| !is_deleted(event, deletions);
                std::iter::from_fn(|| events.pop_front()).find(is_there).map(Ok)
            }
            Self::Block(block) => block.next(),
        }
    }
}

/// A place in the log that moves as events are taken.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    identity: u64,
    filter: Arc<Filter>,
    direction: Direction,
    /// What is left to look at, both ends included.
    from: u64,
    to: u64,
    /// How many events are still wanted.
    left: u64,
    window: Window,
    buffers: Buffers,
    /// The frame read last.
    cursor: Option<Checkpoint>,
    deletions: Arc<Deletions>,
    /// Which events of the streams come next, where streams are asked for.
    trail: Trail,
    /// What was met behind the events that were found last.
    met: Option<Error>,
}

impl Reader {
    pub(super) fn new(shared: &Arc<Shared>, query: Query) -> Self {
        let (readable, identity, deletions) = {
            let state = shared.state();
            (shared.progress.readable(), state.identity, Arc::clone(&state.index.deletions))
        };
        let at = query.from.map(|from| from.parts().0);
        let (from, to) = match query.direction {
            Direction::Forward => (at.map_or(1, |at| at.saturating_add(1)), readable),
            Direction::Backward => (1, at.map_or(readable, |at| readable.min(at.saturating_sub(1)))),
        };
        Self {
            shared: Arc::clone(shared),
            identity,
            filter: Arc::new(query.filter),
            direction: query.direction,
            from,
            to,
            left: query.limit.unwrap_or(u64::MAX),
            window: Window::new(AHEAD),
            buffers: Buffers::default(),
            cursor: None,
            deletions,
            trail: Trail::default(),
            met: None,
        }
    }

    /// Makes the reader of all that matches `filter` after `after`; see [`Reader::extend`].
    pub(super) fn after(shared: &Arc<Shared>, filter: Filter, after: Position) -> Self {
        Self::new(shared, Query { filter, from: Some(after), ..Query::default() })
    }

    /// Lets the reader go on to `readable`.
    pub(super) fn extend(&mut self, readable: u64) {
        self.to = self.to.max(readable);
    }

    /// Makes the reader stop at `last`.
    pub(super) fn end_at(&mut self, last: u64) {
        self.to = self.to.min(last);
    }

    /// Says whether all has been looked at.
    pub(super) fn is_done(&self) -> bool {
        self.met.is_none() && (self.left == 0 || self.from > self.to)
    }

    /// Gives back the memory that reading takes, until it is asked for the next events.
    pub(super) fn rest(&mut self) {
        self.buffers.release();
        self.window.release();
        self.trail.rest();
    }

    /// Returns the next events; none means that none matched so far, [`Reader::is_done`] whether more may come.
    pub(super) fn next(&mut self) -> Result<Chunk, Error> {
        if let Some(error) = self.met.take() {
            return Err(error);
        }
        let mut found = VecDeque::new();
        if self.is_done() {
            return Ok(self.chunk(found));
        }
        let read = match (self.filter.streams.is_empty(), self.direction) {
            (false, _) => self.next_of_streams(&mut found),
            // How many events of a block match is not known before they are taken out of it.
            (true, Direction::Forward) if self.left == u64::MAX => {
                return self.next_block().map(Chunk::Block);
            }
            (true, Direction::Forward) => self.next_forward(&mut found),
            (true, Direction::Backward) => self.next_backward(&mut found),
        };
        match read {
            Err(error) if found.is_empty() => return Err(error),
            Err(error) => self.met = Some(error),
            Ok(()) => {}
        }
        Ok(self.chunk(found))
    }

    fn chunk(&self, found: VecDeque<StoredEvent>) -> Chunk {
        Chunk::Events(found, Arc::clone(&self.deletions))
    }

    fn next_of_streams(&mut self, found: &mut VecDeque<StoredEvent>) -> Result<(), Error> {
        let max = EVENTS_MAX.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let forward = self.direction == Direction::Forward;
        for _ in 0..max {
            let (streams, range) = (&self.filter.streams, (self.from, self.to));
            let Some(position) = self.trail.next(&self.shared, streams, self.direction, range)? else {
                self.from = self.to + 1;
                break;
            };
            let (_, event) = self.with_frame(position, |frame| decode_one(frame, position))?;
            if let Some(event) = event {
                self.offer(event, found);
            }
            if forward { self.from = position + 1 } else { self.to = position - 1 }
        }
        Ok(())
    }

    /// Reads the frames that come next, as many as fit into one block.
    pub(super) fn next_block(&mut self) -> Result<Block, Error> {
        let wanted = (self.from, self.to);
        let mut here = self.frame_before(self.from)?;
        let mut need = if self.to - self.from < FEW { AHEAD } else { buffers::LENGTH };
        loop {
            let Checkpoint { at, position } = here;
            let file = self.shared.segments.reader(at.segment()).map_err(read_error)?;
            let mut buffer = self.buffers.take(need);
            let before_end = until(at, self.shared.progress.written_end(), need);
            let (count, damage) =
                read_to_damage(&*file, at, &mut buffer.bytes[..before_end]).map_err(read_error)?;
            let bytes = &buffer.bytes[..count];
            let (mut frames, mut taken, mut next) = (Vec::new(), 0, position);
            let problem = loop {
                if next > self.to {
                    break None;
                }
                let at = at.plus(taken);
                match frame::parse(&bytes[taken..], self.identity, at) {
                    Ok(frame) if frame.first != next => {
                        break Some(Invalid::Broken("a frame starts with another position than is due"));
                    }
                    Ok(frame) => {
                        let start = taken + frame::HEADER;
                        let payload = (start, start + frame.payload.len());
                        frames.push(FrameAt { payload, first: next, count: frame.count, at });
                        next += u64::from(frame.count);
                        taken += frame.length;
                    }
                    Err(problem) => break Some(problem),
                }
            };
            here = Checkpoint { position: next, at: at.plus(taken) };
            if !frames.is_empty() {
                self.cursor = Some(here);
                self.from = next.min(self.to + 1);
                return Ok(Block::new(buffer, frames, wanted, &self.filter, Arc::clone(&self.deletions)));
            }
            if let Some(damage) = damage {
                return Err(read_error(damage));
            }
            // Where the segment ends there may be no room for a header.
            let left = &bytes[taken..];
            match frame::claimed_length(left) {
                Ok(length) if length > left.len() && need < length && count == need => {
                    // A length that is damaged must not decide how much memory is taken.
                    if u64::from(at.byte()) + length as u64 > file.length().map_err(read_error)? {
                        return Err(damaged(at, "a frame is longer than its segment"));
                    }
                    need = length;
                }
                Err(Invalid::Empty) if at.byte() as usize > segment::HEADER => {
                    here.at = Offset::start_of(at.segment() + 1);
                }
                _ => {
                    let problem = match problem {
                        Some(Invalid::Broken(problem)) => problem,
                        _ => "a frame is missing",
                    };
                    return Err(damaged(at, problem));
                }
            }
        }
    }

    fn next_forward(&mut self, found: &mut VecDeque<StoredEvent>) -> Result<(), Error> {
        let mut bytes = 0;
        while !self.is_done() && found.len() < EVENTS_MAX && bytes < BYTES_MAX {
            let (first, events) = self.with_frame(self.from, decode)?;
            for (event, position) in events.into_iter().zip(first..) {
                if position >= self.from && position <= self.to {
                    self.from = position + 1;
                    let Some(event) = event else { continue };
                    bytes += event.event.data().len() + 100;
                    self.offer(event, found);
                }
            }
        }
        Ok(())
    }

    fn next_backward(&mut self, found: &mut VecDeque<StoredEvent>) -> Result<(), Error> {
        // Frames can be found forward only, so a stretch between checkpoints is read and turned round.
        let start = self.checkpoint(self.to)?.position;
        let mut stretch = Vec::new();
        let mut next = start;
        while next <= self.to {
            let (first, events) = self.with_frame(next, decode)?;
            next = first + events.len() as u64;
            let events = events.into_iter().flatten();
            stretch.extend(events.filter(|event| event.position.parts().0 <= self.to));
        }
        for event in stretch.into_iter().rev() {
            self.offer(event, found);
        }
        self.to = start - 1;
        Ok(())
    }

    /// Adds an event to those found if it is wanted.
    fn offer(&mut self, event: StoredEvent, found: &mut VecDeque<StoredEvent>) {
        let deleted = is_deleted(&event, &self.deletions);
        if self.left > 0 && !deleted && self.filter.matches(&event.stream, &event.event) {
            self.left -= 1;
            found.push_back(event);
        }
    }

    fn checkpoint(&self, position: u64) -> Result<Checkpoint, Error> {
        self.shared.state().index.parts.checkpoint(position).ok_or_else(|| lost(position))
    }

    /// Returns a frame that starts at or before the event at `position`, and not long before.
    fn frame_before(&self, position: u64) -> Result<Checkpoint, Error> {
        let kept = self.checkpoint(position)?;
        Ok(match self.cursor {
            Some(cursor) if cursor.position <= position && cursor.position >= kept.position => cursor,
            _ => kept,
        })
    }

    /// Returns the position of the first event of the frame that holds `position`, which is readable, and what `make`
    /// makes of it.
    fn with_frame<T>(
        &mut self,
        position: u64,
        make: impl FnOnce(Frame<'_>) -> Result<T, Malformed>,
    ) -> Result<(u64, T), Error> {
        let mut here = self.frame_before(position)?;
        self.window.end_at(self.shared.progress.written_end());
        loop {
            let Checkpoint { at, position: first } = here;
            let file = self.shared.segments.reader(at.segment()).map_err(read_error)?;
            let mut found = self.window.frame(&*file, self.identity, at).map_err(read_error)?;
            if found.is_err() {
                // The window may be older than the frame.
                self.window.clear();
                found = self.window.frame(&*file, self.identity, at).map_err(read_error)?;
            }
            let frame = match found {
                Ok(frame) if frame.first == first => frame,
                Ok(_) => return Err(damaged(at, "a frame starts with another position than is due")),
                Err(Invalid::Empty) if at.byte() as usize > segment::HEADER => {
                    here.at = Offset::start_of(at.segment() + 1);
                    continue;
                }
                Err(Invalid::Empty) => return Err(damaged(at, "a frame is missing")),
                Err(Invalid::Broken(problem)) => return Err(damaged(at, problem)),
            };
            let behind = frame.first + u64::from(frame.count);
            if position < behind {
                self.cursor = Some(here);
                let made = make(frame).map_err(|Malformed| damaged(at, "an event is malformed"))?;
                return Ok((first, made));
            }
            here = Checkpoint { position: behind, at: at.plus(frame.length) };
        }
    }
}

/// Reads what stands from `at` on, or as much of it as stands before a damage, and says how much that is.
fn read_to_damage(
    file: &dyn DiskFile,
    at: Offset,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<io::Error>)> {
    match file.read_at(bytes, at.byte().into()) {
        Ok(count) => Ok((count, None)),
        Err(error) => match readable_before(&error, at) {
            Some(before) if before < bytes.len() => {
                Ok((file.read_at(&mut bytes[..before], at.byte().into())?, Some(error)))
            }
            _ => Err(error),
        },
    }
}

fn is_deleted(event: &StoredEvent, deletions: &Deletions) -> bool {
    event.position.parts().0 < deletions.end() && deletions.holds(&event.stream, event.revision.0)
}

/// Makes all events of a frame; none where one was erased.
fn decode(frame: Frame<'_>) -> Result<Vec<Option<StoredEvent>>, Malformed> {
    let (mut rest, mut names) = (frame.payload, Names::default());
    let behind = frame.first + u64::from(frame.count);
    (frame.first..behind).map(|position| stored(Raw::take(&mut rest)?, position, &mut names)).collect()
}

/// Makes the event at `position` of the frame that holds it; none if it was erased.
fn decode_one(frame: Frame<'_>, position: u64) -> Result<Option<StoredEvent>, Malformed> {
    let mut rest = frame.payload;
    for _ in frame.first..position {
        Raw::take(&mut rest)?;
    }
    stored(Raw::take(&mut rest)?, position, &mut Names::default())
}

/// Makes an event that shares nothing with what was read.
fn stored(raw: Raw<'_>, position: u64, names: &mut Names) -> Result<Option<StoredEvent>, Malformed> {
    if raw.erased {
        return Ok(None);
    }
    Ok(Some(StoredEvent {
        position: Position::from_parts(position, 0),
        stream: names.stream(raw.stream)?,
        revision: Revision(raw.revision),
        event: raw.make_event(names, Bytes::copy_from_slice(raw.data))?,
    }))
}

pub(super) fn damaged(at: Offset, problem: &str) -> Error {
    Error::Damaged { place: at.to_string(), problem: problem.to_owned() }
}

pub(super) fn lost(position: u64) -> Error {
    Error::Damaged { place: format!("position {position}"), problem: "the event is not there".to_owned() }
}
