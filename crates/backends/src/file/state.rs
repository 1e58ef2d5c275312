//! What appenders and the writer share, behind one lock that is never held over I/O.

use std::collections::HashMap;
use std::sync::Arc;

use steadfast_core::store::{
    Appended, Batch, Condition, Durability, Error, Expected, Filter, NewEvent, Position, Revision,
};

use super::answer::{Answer, undecided};
use super::format::{Offset, VERSION, frame, record};
use super::group::{Group, Run};
use super::index::{Added, Index, Place, UNKNOWN};
use super::progress::Progress;

/// The longest name of a stream in bytes.
const STREAM_MAX: usize = 512;

/// Whether the log takes appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    /// A write or sync failed.
    Poisoned,
    /// It is closed, or what was accepted is being finished.
    Closed,
}

/// What became of an append.
#[derive(Debug)]
pub(super) enum Queued {
    /// It is as safe as was asked for already.
    Done(Appended),
    /// The writer will answer.
    Waiting(Answer),
    /// It is refused like this, once the writer has answered.
    Refused(Answer, Error),
    /// Nothing yet: the disk must be asked first. The batch comes back.
    Scan(Batch, Scan),
    /// Nothing yet: of which stream the events are that stand from this position on must be looked up first.
    Identify(Batch, u64),
}

/// What is known of a batch that may have been appended before.
enum Known {
    No,
    There(Appended),
    /// Its events stand from this position on, of streams that are not in memory.
    Perhaps(u64),
}

/// The question whether an event after `after` and up to `to` matches.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) filter: Filter,
    pub(super) after: u64,
    pub(super) to: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) index: Index,
    pub(super) group: Group,
    pub(super) status: Status,
    /// How the first write or sync failed.
    pub(super) failure: Option<Error>,
    pub(super) identity: u64,
    /// The position of the next event.
    pub(super) next: u64,
    /// Where the next frame goes, if there is room.
    pub(super) tail: Offset,
    /// The length of the segment that `tail` is in, and the version of its format.
    pub(super) segment_bytes: u64,
    pub(super) segment_version: u8,
    /// The length of segments to come.
    pub(super) new_segment_bytes: u64,
    pub(super) progress: Arc<Progress>,
    pub(super) queue_bytes_max: usize,
    /// The streams and revisions of the batch that is being put; kept for its room.
    pub(super) placed: Vec<(u32, u64)>,
}

impl State {
    /// Checks an append and puts it into the group. `scanned` is up to where the condition's filter has been
    /// found not to match.
    pub(super) fn queue(
        &mut self,
        batch: Batch,
        condition: &Condition,
        durability: Durability,
        scanned: u64,
    ) -> Result<Queued, Error> {
        if self.status == Status::Closed {
            return Err(Error::Closed);
        }
        let payload_max = self.validate(&batch)?;
        let duplicate = match self.find_duplicate(&batch, durability)? {
            Known::No => None,
            Known::There(appended) => Some(appended),
            Known::Perhaps(first) => return Ok(Queued::Identify(batch, first)),
        };
        if self.status == Status::Poisoned {
            // What was queued when the write failed may be in the log, and what was before that is.
            let failure = duplicate.and(self.failure.as_ref());
            return Err(failure.map_or(Error::Poisoned, undecided));
        }
        if let Some(appended) = duplicate {
            return Ok(self.answer(appended, durability));
        }
        match self.check(condition, scanned) {
            Ok(None) => {}
            Ok(Some(scan)) => return Ok(Queued::Scan(batch, scan)),
            Err(conflict) => return self.refuse(conflict),
        }
        if self.group.bytes.len() >= self.queue_bytes_max {
            return Err(Error::Overloaded);
        }
        let appended = self.put(batch, payload_max, durability);
        Ok(self.answer(appended, durability))
    }

    /// Says where a frame without events goes: behind the last one, or at the start of the next segment.
    pub(super) fn place_of_mark(&self) -> Offset {
        let fits = u64::from(self.tail.byte()) + frame::HEADER as u64 <= self.segment_bytes;
        if fits { self.tail } else { Offset::start_of(self.tail.segment() + 1) }
    }

    /// Takes the place of a frame without events, which tells that the log is durable up to it, and returns its bytes.
    pub(super) fn mark(&mut self) -> Vec<u8> {
        let (end, at) = (self.tail, self.place_of_mark());
        if at.segment() != end.segment() {
            (self.segment_bytes, self.segment_version) = (self.new_segment_bytes, VERSION);
        }
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        frame::end(&mut bytes, 0, self.next, 0);
        frame::seal(&mut bytes, self.identity, at, end);
        self.tail = at.plus(bytes.len());
        self.index.add_frame(at, bytes.len(), false);
        bytes
    }

    /// Returns a length that the batch's payload does not exceed.
    fn validate(&self, batch: &Batch) -> Result<usize, Error> {
        let invalid = |reason: String| Err(Error::Invalid { reason });
        if batch.events.is_empty() {
            return invalid("the batch has no events".to_owned());
        }
        let mut payload_max = 0;
        for new in &batch.events {
            if new.stream.is_empty() || new.stream.len() > STREAM_MAX {
                return invalid(format!(
                    "a stream's name has 1 to {STREAM_MAX} bytes, this {}",
                    new.stream.len()
                ));
            }
            payload_max += record::length_max(new);
        }
        let room = self.new_segment_bytes as usize - super::format::segment::HEADER;
        if frame::length_with(payload_max) > room {
            return invalid(format!("the batch takes up to {payload_max} bytes, a segment holds {room}"));
        }
        Ok(payload_max)
    }

    /// Finds where the batch stands if it was appended before.
    fn find_duplicate(&self, batch: &Batch, durability: Durability) -> Result<Known, Error> {
        let known = |new: &NewEvent| self.index.ids.place(new.event.id().as_u128());
        let refuse = |new: &NewEvent| {
            let id = new.event.id();
            Err(Error::Invalid { reason: format!("event {id} was appended before, in another batch") })
        };
        let Some((first, rest)) = batch.events.split_first() else { return Ok(Known::No) };
        let Some(Place { position: first, .. }) = known(first) else {
            self.check_ids_differ(batch)?;
            return rest.iter().find(|new| known(new).is_some()).map_or(Ok(Known::No), refuse);
        };
        let mut revision = 0;
        for (at, new) in batch.events.iter().enumerate() {
            let position = first + at as u64;
            let (begins, ends) = (at == 0, at + 1 == batch.events.len());
            match known(new) {
                Some(place) if (place.position, place.first, place.last) != (position, begins, ends) => {
                    return refuse(new);
                }
                Some(Place { stream: UNKNOWN, .. }) => return Ok(Known::Perhaps(first)),
                Some(place) if self.index.streams.find(&new.stream) == Some(place.stream) => {
                    revision = place.revision;
                }
                _ => return refuse(new),
            }
        }
        Ok(Known::There(Appended {
            position: Position::from_parts(first + batch.events.len() as u64 - 1, 0),
            revision: Revision(revision),
            achieved: durability,
            duplicate: true,
        }))
    }

    fn check_ids_differ(&self, batch: &Batch) -> Result<(), Error> {
        let id_of = |new: &NewEvent| new.event.id();
        let repeated = match batch.events.as_slice() {
            // Ids that are drawn one after the other mostly grow.
            events if events.is_sorted_by(|a, b| id_of(a) < id_of(b)) => None,
            events if events.len() <= 16 => events
                .iter()
                .enumerate()
                .find(|(at, new)| events[..*at].iter().any(|e| id_of(e) == id_of(new))),
            events => {
                let mut seen = HashMap::with_capacity(events.len());
                events.iter().enumerate().find(|(at, new)| seen.insert(id_of(new), *at).is_some())
            }
        };
        match repeated {
            Some((_, new)) => {
                Err(Error::Invalid { reason: format!("event {} is twice in the batch", id_of(new)) })
            }
            None => Ok(()),
        }
    }

    /// Checks the condition against all that is queued, written or durable.
    fn check(&self, condition: &Condition, scanned: u64) -> Result<Option<Scan>, Error> {
        let streams = &self.index.streams;
        match condition {
            Condition::Any => {}
            Condition::Streams(conditions) => {
                for condition in conditions {
                    self.check_stream(&condition.stream, condition.expected)?;
                }
            }
            Condition::NoneMatching { filter, after } => {
                let after = after.parts().0.max(scanned);
                let by_stream_alone = filter.kinds.is_empty() && filter.subjects.is_empty();
                let matches = if by_stream_alone && !filter.streams.is_empty() {
                    Some(filter.streams.iter().any(|stream| streams.of(stream).last > after))
                } else {
                    self.index.recent.matches_after(filter, after, self.next)
                };
                match matches {
                    Some(false) => {}
                    Some(true) => return Err(Error::Conflict { stream: "".into(), actual: None }),
                    None => {
                        return Ok(Some(Scan {
                            filter: filter.clone(),
                            after,
                            to: self.progress.readable(),
                        }));
                    }
                }
            }
            _ => return Err(Error::Unsupported { what: format!("the condition {condition:?}") }),
        }
        Ok(None)
    }

    /// Checks what a stream must look like.
    pub(super) fn check_stream(&self, stream: &str, expected: Expected) -> Result<(), Error> {
        let actual = self.index.streams.of(stream).revision().map(Revision);
        let holds = match expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exists => actual.is_some(),
            Expected::Revision(revision) => actual == Some(revision),
        };
        if holds { Ok(()) } else { Err(Error::Conflict { stream: stream.into(), actual }) }
    }

    /// Refuses a batch, but not before everybody can read what the refusal tells of: whoever reads again because of a
    /// conflict must find what it was about.
    pub(super) fn refuse(&mut self, conflict: Error) -> Result<Queued, Error> {
        let newest = self.next - 1;
        if newest <= self.progress.readable() || !matches!(conflict, Error::Conflict { .. }) {
            return Err(conflict);
        }
        let newest = Appended {
            position: Position::from_parts(newest, 0),
            revision: Revision(0),
            achieved: Durability::Written,
            duplicate: false,
        };
        let meeting = Arc::clone(self.group.written.get_or_insert_default());
        Ok(Queued::Refused(Answer::new(newest, meeting), conflict))
    }

    /// Encodes the batch behind the group's bytes and gives it its place. Nothing can fail here.
    fn put(&mut self, batch: Batch, payload_max: usize, durability: Durability) -> Appended {
        let start = self.group.bytes.len();
        self.group.bytes.reserve(frame::length_with(payload_max));
        frame::begin(&mut self.group.bytes);
        let first = self.next;
        let count = batch.events.len() as u32;
        let mut revision = 0;
        // Most batches are for one stream, which need not be looked up for each event.
        for events in batch.events.chunk_by(|a, b| Arc::ptr_eq(&a.stream, &b.stream)) {
            let number = self.index.streams.number(&events[0].stream);
            let next = self.index.streams.take_revisions(number, events.len() as u64);
            for (new, next) in events.iter().zip(next..) {
                record::encode(&mut self.group.bytes, new, next);
                self.placed.push((number, next));
                revision = next;
            }
        }
        frame::end(&mut self.group.bytes, start, first, count);
        // Where the frame goes must be known first: each segment has its own part of the index.
        self.add_frame(start, true, false);
        let readable = self.progress.readable();
        for (new, (number, revision)) in batch.events.into_iter().zip(self.placed.drain(..)) {
            let (begins, ends) = (self.next == first, self.next + 1 == first + u64::from(count));
            let id = new.event.id().as_u128();
            self.index.add_event(number, Added { id, revision, first: begins, last: ends });
            self.index.recent.push(new.into(), self.next, readable);
            self.next += 1;
        }
        self.group.last = Some(self.next - 1);
        Appended {
            position: Position::from_parts(self.next - 1, 0),
            revision: Revision(revision),
            achieved: durability,
            duplicate: false,
        }
    }

    /// Gives the frame that stands from `start` on in the group's bytes its place, in the next segment if `begins` asks
    /// for that; `events` says whether it holds any.
    pub(super) fn add_frame(&mut self, start: usize, events: bool, begins: bool) -> Offset {
        let length = self.group.bytes.len() - start;
        let at = self.place(length, start, begins);
        // The writer seals the first frame of a run, with what is durable by then.
        if self.group.runs.last().is_none_or(|run| run.start != start) {
            frame::seal(&mut self.group.bytes[start..], self.identity, at, self.progress.durable_end());
        }
        self.index.add_frame(at, length, events);
        at
    }

    /// Returns the number of the segment that has to be made before a frame of `length` bytes can be queued, in the next
    /// segment if `begins` asks for that; none if it fits, or if that segment is `made`.
    pub(super) fn lacks(&self, length: usize, begins: bool, made: u32) -> Option<u32> {
        let fits = u64::from(self.tail.byte()) + length as u64 <= self.segment_bytes;
        let next = self.tail.segment() + 1;
        ((begins || !fits) && made != next).then_some(next)
    }

    /// Takes `length` bytes at the tail, or at the start of the next segment.
    fn place(&mut self, length: usize, start: usize, begins: bool) -> Offset {
        let fits = !begins && u64::from(self.tail.byte()) + length as u64 <= self.segment_bytes;
        if !fits {
            self.tail = Offset::start_of(self.tail.segment() + 1);
            (self.segment_bytes, self.segment_version) = (self.new_segment_bytes, VERSION);
        }
        let at = self.tail;
        self.tail = at.plus(length);
        if !fits || self.group.runs.is_empty() {
            self.group.runs.push(Run { at, start, first_length: length, before: self.next - 1 });
        }
        at
    }

    /// Answers at once what is safe enough, and lets the rest wait for the writer.
    fn answer(&mut self, appended: Appended, durability: Durability) -> Queued {
        let position = appended.position.parts().0;
        let (reached, meeting) = match durability {
            Durability::Accepted => return Queued::Done(appended),
            Durability::Written => (self.progress.readable(), &mut self.group.written),
            _ => (self.progress.durable(), &mut self.group.durable),
        };
        if position <= reached {
            return Queued::Done(appended);
        }
        Queued::Waiting(Answer::new(appended, Arc::clone(meeting.get_or_insert_default())))
    }
}
