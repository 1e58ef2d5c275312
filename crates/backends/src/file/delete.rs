//! Deleting a stream: a frame that says so. What is in memory follows at once, what is on the disk when it is erased.

use std::sync::Arc;

use steadfast_core::store::{Appended, Durability, Error, Expected, Position, Revision};

use super::answer::Answer;
use super::format::Offset;
use super::format::deletion::Deletion;
use super::format::frame::{self, Kind};
use super::state::{Queued, State, Status};

/// The first version of a segment that can hold deletions.
const VERSION_MIN: u8 = 2;

/// What became of a deletion.
#[derive(Debug)]
pub(super) enum Deleting {
    /// There were so many events.
    Queued(u64, Queued),
    /// Nothing yet: the segment of this number must be made first.
    Lacks(u32),
}

impl State {
    /// Deletes all events of `stream` if it is as `expected`, unless that needs another segment than the one of the
    /// number `made`.
    pub(super) fn delete(
        &mut self,
        stream: &str,
        expected: Option<Expected>,
        durability: Durability,
        made: u32,
    ) -> Result<Deleting, Error> {
        match self.status {
            Status::Open => {}
            Status::Closed => return Err(Error::Closed),
            Status::Poisoned => return Err(Error::Poisoned),
        }
        if let Some(expected) = expected
            && let Err(conflict) = self.check_stream(stream, expected)
        {
            return self.refuse(conflict).map(|queued| Deleting::Queued(0, queued));
        }
        let there = self.index.streams.find(stream);
        let there = there.filter(|number| self.index.streams.entry(*number).revision().is_some());
        let Some(number) = there else {
            // Nothing is to be done, but what was deleted before must be as safe as is asked for.
            return Ok(Deleting::Queued(0, self.wait(durability)));
        };
        if self.group.bytes.len() >= self.queue_bytes_max {
            return Err(Error::Overloaded);
        }
        let below = self.index.streams.entry(number).next_revision;
        let (deletion, begins) = (Deletion { stream, below }, self.segment_version < VERSION_MIN);
        if let Some(number) = self.lacks(frame::length_with(deletion.length_max()), begins, made) {
            return Ok(Deleting::Lacks(number));
        }
        let at = self.put_deletions(&[deletion], begins);
        let events = self.index.delete(number, at);
        Ok(Deleting::Queued(events, self.wait(durability)))
    }

    /// Puts a frame of deletions into the group, in the next segment if `begins` asks for that, and returns its place.
    pub(super) fn put_deletions(&mut self, deletions: &[Deletion<'_>], begins: bool) -> Offset {
        let start = self.group.bytes.len();
        frame::begin(&mut self.group.bytes);
        for deletion in deletions {
            deletion.put(&mut self.group.bytes);
        }
        frame::end_as(Kind::Deletions, &mut self.group.bytes, start, self.next, 0);
        self.add_frame(start, false, begins)
    }

    /// Waits until all that is queued is as safe as `durability` says.
    pub(super) fn wait(&mut self, durability: Durability) -> Queued {
        let nothing = Appended {
            position: Position::from_parts(self.next - 1, 0),
            revision: Revision(0),
            achieved: durability,
            duplicate: false,
        };
        let meeting = match durability {
            Durability::Accepted => return Queued::Done(nothing),
            Durability::Written => &mut self.group.written,
            _ => &mut self.group.durable,
        };
        Queued::Waiting(Answer::new(nothing, Arc::clone(meeting.get_or_insert_default())))
    }
}
