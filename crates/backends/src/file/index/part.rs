use std::collections::HashMap;
use std::sync::Arc;

use super::{APART, Checkpoint, Deleted, Entry};
use crate::file::format::Offset;

/// What the index holds of one segment while that is written to, and until it is on the disk.
///
/// The events of a stream are a chain, newest first: each tells of the one before it, and the first one in the part of
/// the one before that in an earlier part.
#[derive(Debug)]
pub(in crate::file) struct Part {
    /// The number of the segment.
    pub(in crate::file) number: u32,
    /// The position of its first event.
    pub(in crate::file) first: u64,
    pub(in crate::file) streams: Vec<PartStream>,
    /// By position.
    events: Vec<Link>,
    /// The identities of the events and whether they begin or end a batch, if they are wanted.
    pub(in crate::file) ids: Vec<u128>,
    pub(in crate::file) edges: Vec<u8>,
    pub(in crate::file) checkpoints: Vec<Mark>,
    /// Where the last frame begins, and where it ends.
    pub(in crate::file) last_frame: u32,
    pub(in crate::file) end: u32,
}

/// A frame to start reading at: the position of its first event, counted from the first of the part, and its place in
/// the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) struct Mark {
    pub(in crate::file) event: u32,
    pub(in crate::file) byte: u32,
}

/// A stream that has events in the part.
#[derive(Debug, Clone)]
pub(in crate::file) struct PartStream {
    pub(in crate::file) name: Arc<str>,
    /// The revision of its first event here.
    pub(in crate::file) first_revision: u64,
    /// The position of its newest event in an earlier part, 0 if there is none or it was deleted in this one.
    pub(in crate::file) before: u64,
    /// How far it is deleted, if it was deleted in this part.
    pub(in crate::file) deleted: Option<Deleted>,
    /// Its newest event here, counted from 1; 0 if there is none that is not deleted.
    last: u32,
    pub(in crate::file) count: u32,
}

/// An event: its stream, and the event before it of that stream in this part, counted from 1; 0 if there is none.
#[derive(Debug, Clone, Copy)]
struct Link {
    stream: u32,
    before: u32,
}

impl Part {
    pub(super) fn new(number: u32, first: u64) -> Self {
        let start = Offset::start_of(number).byte();
        Self {
            number,
            first,
            streams: Vec::new(),
            events: Vec::new(),
            ids: Vec::new(),
            edges: Vec::new(),
            checkpoints: Vec::new(),
            last_frame: start,
            end: start,
        }
    }

    /// How many events it holds.
    pub(in crate::file) fn count(&self) -> u64 {
        self.events.len() as u64
    }

    /// The position after its last event.
    pub(in crate::file) fn next(&self) -> u64 {
        self.first + self.count()
    }

    /// Notes a frame of `length` bytes; `events` says whether it holds any.
    pub(super) fn add_frame(&mut self, at: Offset, length: usize, events: bool) {
        (self.last_frame, self.end) = (at.byte(), at.byte() + length as u32);
        let far = self.checkpoints.last().is_none_or(|last| at.byte() - last.byte >= APART);
        if events && far {
            self.checkpoints.push(Mark { event: self.events.len() as u32, byte: at.byte() });
        }
    }

    /// Adds the next event, of the stream called `name` whose entry is `entry`.
    pub(super) fn add_event(&mut self, name: &Arc<str>, entry: &mut Entry, revision: u64) {
        let stream = self.stream(name, entry, revision);
        let stream = &mut self.streams[stream];
        self.events.push(Link { stream: entry.local, before: stream.last });
        stream.last = self.events.len() as u32;
        stream.count += 1;
        entry.last = self.first + u64::from(stream.last) - 1;
    }

    /// Notes that all events of the stream called `name` are deleted.
    pub(super) fn delete(&mut self, name: &Arc<str>, entry: &mut Entry, deleted: Deleted) {
        let stream = self.stream(name, entry, deleted.below);
        let stream = &mut self.streams[stream];
        (stream.before, stream.last, stream.deleted) = (0, 0, Some(deleted));
    }

    /// Returns the number of a stream in this part; one that is new begins here with `first_revision`.
    fn stream(&mut self, name: &Arc<str>, entry: &mut Entry, first_revision: u64) -> usize {
        if entry.part != self.number {
            (entry.local, entry.part) = (self.streams.len() as u32, self.number);
            let (name, before) = (Arc::clone(name), entry.last);
            self.streams.push(PartStream { name, first_revision, before, deleted: None, last: 0, count: 0 });
        }
        entry.local as usize
    }

    /// Returns the position of the newest event before this part of the stream that the event at `position` belongs to,
    /// 0 if there is none.
    pub(in crate::file) fn before(&self, position: u64) -> u64 {
        let Link { stream, .. } = self.events[(position - self.first) as usize];
        self.streams[stream as usize].before
    }

    /// Returns the position of the event before the one at `position`, of the same stream; 0 if there is none.
    pub(in crate::file) fn event_before(&self, position: u64) -> u64 {
        match self.events[(position - self.first) as usize] {
            Link { stream, before: 0 } => self.streams[stream as usize].before,
            Link { before, .. } => self.first + u64::from(before) - 1,
        }
    }

    /// Adds to `found` the positions within `from..=to` of the stream that the event at `position` belongs to, which is
    /// not older than `to`; newest first.
    pub(in crate::file) fn positions(&self, position: u64, from: u64, to: u64, found: &mut Vec<u64>) {
        let mut index = (position - self.first) as u32 + 1;
        while index > 0 {
            let position = self.first + u64::from(index) - 1;
            if position < from {
                return;
            }
            if position <= to {
                found.push(position);
            }
            index = self.events[index as usize - 1].before;
        }
    }

    /// Says whether it holds events that are `deleted`.
    pub(in crate::file) fn holds(&self, deleted: &HashMap<Arc<str>, Deleted>) -> bool {
        self.streams.iter().filter(|stream| stream.count > 0).any(|stream| {
            deleted.get(&stream.name).is_some_and(|deleted| stream.first_revision < deleted.below)
        })
    }

    /// Returns, by stream, the events counted from 0, oldest first.
    pub(in crate::file) fn events_by_stream(&self) -> Vec<Vec<u32>> {
        let mut all: Vec<_> =
            self.streams.iter().map(|stream| Vec::with_capacity(stream.count as usize)).collect();
        for (index, link) in self.events.iter().enumerate() {
            all[link.stream as usize].push(index as u32);
        }
        all
    }
}

/// Returns the last of a part's marks at or before the event at `position`.
pub(super) fn checkpoint(number: u32, first: u64, marks: &[Mark], position: u64) -> Option<Checkpoint> {
    let event = u32::try_from(position - first).unwrap_or(u32::MAX);
    let behind = marks.partition_point(|mark| mark.event <= event);
    let mark = marks[..behind].last()?;
    Some(Checkpoint { position: first + u64::from(mark.event), at: Offset::new(number, mark.byte) })
}
