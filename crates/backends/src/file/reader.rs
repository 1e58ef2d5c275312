//! Reading events back: by position, by stream, either way. Calls block and are made off the runtime.

use std::collections::VecDeque;
use std::sync::Arc;

use steadfast_core::store::{Direction, Error, Filter, Position, Query, Revision, StoredEvent};

use super::format::Offset;
use super::format::frame::{Frame, Invalid};
use super::format::record::Record;
use super::format::segment;
use super::index::Checkpoint;
use super::shared::{Shared, read_error};
use super::trail::Trail;
use super::window::Window;

/// How many events, and about how many bytes of segments, are read in one go at most.
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 1 << 20;
/// How much is read from the disk at once.
const AHEAD: usize = 64 << 10;

/// A place in the log that moves as events are taken.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    identity: u64,
    filter: Filter,
    direction: Direction,
    /// What is left to look at, both ends included.
    from: u64,
    to: u64,
    /// How many events are still wanted.
    left: u64,
    window: Window,
    /// The frame read last.
    cursor: Option<Checkpoint>,
    /// Which events of the streams come next, where streams are asked for.
    trail: Trail,
}

impl Reader {
    pub(super) fn new(shared: &Arc<Shared>, query: Query) -> Self {
        let (readable, identity) = {
            let state = shared.state();
            (state.readable, state.identity)
        };
        let at = query.from.map(|from| from.parts().0);
        let (from, to) = match query.direction {
            Direction::Forward => (at.map_or(1, |at| at.saturating_add(1)), readable),
            Direction::Backward => (1, at.map_or(readable, |at| readable.min(at.saturating_sub(1)))),
        };
        Self {
            shared: Arc::clone(shared),
            identity,
            filter: query.filter,
            direction: query.direction,
            from,
            to,
            left: query.limit.unwrap_or(u64::MAX),
            window: Window::new(AHEAD),
            cursor: None,
            trail: Trail::default(),
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
        self.left == 0 || self.from > self.to
    }

    /// Returns the next events; none means that none matched so far, [`Reader::is_done`] whether more may come.
    pub(super) fn next(&mut self) -> Result<VecDeque<StoredEvent>, Error> {
        let mut found = VecDeque::new();
        if self.is_done() {
            return Ok(found);
        }
        match (self.filter.streams.is_empty(), self.direction) {
            (false, _) => self.next_of_streams(&mut found)?,
            (true, Direction::Forward) => self.next_forward(&mut found)?,
            (true, Direction::Backward) => self.next_backward(&mut found)?,
        }
        Ok(found)
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
            let (first, events) = self.events_at(position)?;
            let event = events.into_iter().nth((position - first) as usize);
            self.offer(event.ok_or_else(|| lost(position))?, found);
            if forward { self.from = position + 1 } else { self.to = position - 1 }
        }
        Ok(())
    }

    fn next_forward(&mut self, found: &mut VecDeque<StoredEvent>) -> Result<(), Error> {
        let mut bytes = 0;
        while !self.is_done() && found.len() < EVENTS_MAX && bytes < BYTES_MAX {
            let (_, events) = self.events_at(self.from)?;
            for event in events {
                let position = event.position.parts().0;
                if position >= self.from && position <= self.to {
                    bytes += event.event.data().len() + 100;
                    self.offer(event, found);
                    self.from = position + 1;
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
            let (first, events) = self.events_at(next)?;
            next = first + events.len() as u64;
            stretch.extend(events.into_iter().filter(|event| event.position.parts().0 <= self.to));
        }
        for event in stretch.into_iter().rev() {
            self.offer(event, found);
        }
        self.to = start - 1;
        Ok(())
    }

    /// Adds an event to those found if it is wanted.
    fn offer(&mut self, event: StoredEvent, found: &mut VecDeque<StoredEvent>) {
        if self.left > 0 && self.filter.matches(&event.stream, &event.event) {
            self.left -= 1;
            found.push_back(event);
        }
    }

    fn checkpoint(&self, position: u64) -> Result<Checkpoint, Error> {
        self.shared.state().index.parts.checkpoint(position).ok_or_else(|| lost(position))
    }

    /// Returns all events of the frame that holds `position`, which is readable, and the position of the first.
    fn events_at(&mut self, position: u64) -> Result<(u64, Vec<StoredEvent>), Error> {
        let kept = self.checkpoint(position)?;
        let mut here = match self.cursor {
            Some(cursor) if cursor.position <= position && cursor.position >= kept.position => cursor,
            _ => kept,
        };
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
                return Ok((first, decode(frame).ok_or_else(|| damaged(at, "an event is malformed"))?));
            }
            here = Checkpoint { position: behind, at: at.plus(frame.length) };
        }
    }
}

fn decode(frame: Frame<'_>) -> Option<Vec<StoredEvent>> {
    let mut rest = frame.payload;
    let mut events = Vec::with_capacity((frame.count as usize).min(frame.payload.len()));
    for position in frame.first..frame.first + u64::from(frame.count) {
        let record = Record::take(&mut rest).ok()?;
        events.push(StoredEvent {
            position: Position::from_parts(position, 0),
            stream: record.stream.into(),
            revision: Revision(record.revision),
            event: record.to_event().ok()?,
        });
    }
    Some(events)
}

fn damaged(at: Offset, problem: &str) -> Error {
    Error::Damaged { place: at.to_string(), problem: problem.to_owned() }
}

pub(super) fn lost(position: u64) -> Error {
    Error::Damaged { place: format!("position {position}"), problem: "the event is not there".to_owned() }
}
