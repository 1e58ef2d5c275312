//! What the log keeps in memory to find events; derived from the segments and rebuilt when they are opened.
//!
//! What the index says of a segment is a [`Part`]. The part of the segment that is written to is in memory; when the
//! next segment is begun, it is finished, and soon moves into a file (`sealed`), so that memory does not grow with the
//! log.
//!
//! Cost: about 100 bytes and the name per stream, 8 bytes per 16 KiB of log for places to start reading at, about 50
//! bytes per remembered event id, and of the segment that is written to 25 bytes per event.

mod deletions;
mod ids;
mod part;
mod parts;
mod recent;
mod streams;

use std::sync::Arc;

use super::format::Offset;

pub(super) use deletions::Deleted;
pub(super) use deletions::Deletions;
pub(super) use ids::ANOTHER;
pub(super) use ids::BEGINS;
pub(super) use ids::ENDS;
pub(super) use ids::Ids;
pub(super) use ids::Place;
pub(super) use ids::UNKNOWN;
pub(super) use part::Mark;
pub(super) use part::Part;
pub(super) use parts::Held;
pub(super) use parts::Parts;
pub(super) use recent::Recent;
pub(super) use streams::Entry;
pub(super) use streams::Streams;

/// A place to start reading from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Position of the first event of the frame that starts at `at`.
    pub(super) position: u64,
    pub(super) at: Offset,
}

/// How far apart checkpoints stand at least.
const APART: u32 = 16 << 10;

/// All of it.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) streams: Streams,
    pub(super) parts: Parts,
    pub(super) ids: Ids,
    pub(super) recent: Recent,
    pub(super) deletions: Arc<Deletions>,
    /// Whether parts hold the identities of their events: those that are to be put on the disk do.
    keep_ids: bool,
}

/// An event that is added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    pub(super) id: u128,
    pub(super) revision: u64,
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Index {
    /// Makes the index of a log without events that remembers `ids_max` identities.
    pub(super) fn new(ids_max: u32) -> Self {
        Self { keep_ids: true, ..Self::without_ids(ids_max) }
    }

    /// Makes one whose parts do not go to the disk.
    pub(super) fn without_ids(ids_max: u32) -> Self {
        Self {
            streams: Streams::default(),
            parts: Parts::new(1, 1),
            ids: Ids::new(ids_max),
            recent: Recent::default(),
            deletions: Arc::default(),
            keep_ids: false,
        }
    }

    /// Adds a frame of `length` bytes at `at`, whose events are to be added next, if there are any.
    pub(super) fn add_frame(&mut self, at: Offset, length: usize, events: bool) {
        if at.segment() != self.parts.active.number {
            self.parts.go_on(at.segment());
        }
        self.parts.active.add_frame(at, length, events);
    }

    /// Adds the next event, of the stream that has `number`. Its revision was taken before.
    pub(super) fn add_event(&mut self, number: u32, added: Added) {
        let Added { id, revision, first, last } = added;
        let part = &mut self.parts.active;
        let position = part.next();
        let (name, entry) = self.streams.named(number);
        part.add_event(name, entry, revision);
        if self.keep_ids {
            part.ids.push(id);
            part.edges.push(ids::edges(first, last));
        }
        self.ids.add(id, Place { position, first, last, stream: number, revision });
    }

    /// Deletes all events of the stream that has `number`, as the frame at `frame` says, and returns how many there were.
    pub(super) fn delete(&mut self, number: u32, frame: Offset) -> u64 {
        let at = self.parts.active.next();
        let (name, entry) = self.streams.named(number);
        let deleted = Deleted { below: entry.next_revision, at, frame };
        let events = deleted.below - entry.deleted;
        self.parts.active.delete(name, entry, deleted);
        (entry.deleted, entry.last) = (deleted.below, 0);
        self.recent.delete(name);
        self.deletions.add(name, deleted);
        events
    }

    /// Notes how a stream stands after a finished part, and how far it is deleted, if it was deleted in that part.
    pub(super) fn note_stream(
        &mut self,
        stream: &str,
        next_revision: u64,
        last: u64,
        deleted: Option<Deleted>,
    ) {
        let number = self.streams.insert(stream, next_revision, last);
        self.note_deletion(number, deleted);
    }

    /// Does the same for a stream that is not there yet; none if it is.
    pub(super) fn note_new_stream(
        &mut self,
        stream: &str,
        next_revision: u64,
        last: u64,
        deleted: Option<Deleted>,
    ) -> Option<()> {
        let number = self.streams.insert_new(stream, next_revision, last)?;
        self.note_deletion(number, deleted);
        Some(())
    }

    fn note_deletion(&mut self, number: u32, deleted: Option<Deleted>) {
        if let Some(deleted) = deleted {
            let (name, entry) = self.streams.named(number);
            entry.deleted = deleted.below;
            self.deletions.add(name, deleted);
        }
    }

    /// Returns the revision of the newest event of `stream` at or before `position`, behind which nothing is on the disk
    /// yet; none if there is no event that is not deleted.
    pub(super) fn revision_until(&self, stream: &str, position: u64) -> Option<u64> {
        let deleted = self.streams.of(stream).deleted;
        let count = self.count_until(stream, position);
        (count > deleted).then(|| count - 1)
    }

    /// Returns how many events `stream` has had at or before `position`, or before it was deleted.
    fn count_until(&self, stream: &str, position: u64) -> u64 {
        let Entry { next_revision: mut count, mut last, .. } = self.streams.of(stream);
        while last > position {
            let part = match self.parts.active_with(last) {
                Some(active) => active,
                None => match self.parts.done_with(last) {
                    Some(Held::Memory(part)) => part,
                    // What is on the disk can be read.
                    _ => break,
                },
            };
            (count, last) = (count - 1, part.event_before(last));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(index: &mut Index, stream: &str, id: u128) {
        let number = index.streams.number_of(stream);
        let revision = index.streams.take_revisions(number, 1);
        index.add_event(number, Added { id, revision, first: true, last: true });
    }

    #[test]
    fn a_checkpoint_stands_at_or_before_its_event() {
        let mut index = Index::new(10);
        assert_eq!(index.parts.checkpoint(1), None);
        for frame in 0..100_u32 {
            index.add_frame(Offset::new(1, 64 + frame * 4096), 4096, true);
            (0..10).for_each(|event| add(&mut index, "a", u128::from(frame * 10 + event)));
        }
        index.add_frame(Offset::start_of(2), 100, true);
        add(&mut index, "a", 1000);
        let found = index.parts.checkpoint(45).expect("one");
        assert_eq!((found.position, found.at), (41, Offset::new(1, 64 + 4 * 4096)));
        assert_eq!(index.parts.checkpoint(5000).map(|c| c.at), Some(Offset::start_of(2)));
        assert_eq!(index.parts.unsealed(), [1]);
    }

    #[test]
    fn the_events_of_a_stream_are_a_chain_through_the_parts() {
        let mut index = Index::new(10);
        let mut position = 0;
        for segment in 1..=3 {
            index.add_frame(Offset::start_of(segment), 100, true);
            for stream in ["a", "b", "a"] {
                position += 1;
                add(&mut index, stream, position);
            }
        }
        assert_eq!(index.streams.of("a").next_revision, 6);
        assert_eq!(
            (index.count_until("a", 5), index.count_until("b", 9), index.count_until("c", 9)),
            (3, 3, 0)
        );
        let last = index.streams.of("a").last;
        let mut found = Vec::new();
        let active = index.parts.active_with(last).expect("it is there");
        active.positions(last, 8, 9, &mut found);
        assert_eq!((found.as_slice(), active.before(last)), ([9].as_slice(), 6));
        let Some(Held::Memory(part)) = index.parts.done_with(6) else { panic!("it is in memory") };
        found.clear();
        part.positions(6, 1, 5, &mut found);
        assert_eq!((found.as_slice(), part.before(6)), ([4].as_slice(), 3));
    }
}
