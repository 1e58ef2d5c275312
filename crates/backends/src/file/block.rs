//! A stretch of a segment, checked, out of which events are made one by one as they are asked for.

use std::sync::Arc;

use bytes::Bytes;
use steadfast_core::store::{Error, Filter, Position, Revision, StoredEvent};

use super::format::Offset;
use super::format::record::{Names, Record};
use super::index::Deletions;
use super::reader::damaged;

/// A frame in a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameAt {
    /// Where its payload begins and ends in the block.
    pub(super) payload: (usize, usize),
    /// The position of its first event, and how many there are.
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) at: Offset,
}

/// Events of one stretch. Their data are slices of it, so that nothing is copied.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Bytes,
    /// Newest first.
    frames: Vec<FrameAt>,
    /// What is left of the frame that is being taken apart.
    rest: (usize, usize),
    next: u64,
    behind: u64,
    at: Offset,
    /// Which events are wanted, both ends included.
    from: u64,
    to: u64,
    filter: Arc<Filter>,
    deletions: Arc<Deletions>,
    names: Names,
}

impl Block {
    pub(super) fn new(
        bytes: Vec<u8>,
        mut frames: Vec<FrameAt>,
        (from, to): (u64, u64),
        filter: Arc<Filter>,
        deletions: Arc<Deletions>,
    ) -> Self {
        frames.reverse();
        let bytes = Bytes::from(bytes);
        let (rest, next, behind, at) = ((0, 0), 0, 0, Offset::new(0, 0));
        Self { bytes, frames, rest, next, behind, at, from, to, filter, deletions, names: Names::default() }
    }

    /// Makes the next event; none if it is not wanted.
    fn take(&mut self) -> Result<Option<StoredEvent>, Error> {
        let (start, end) = self.rest;
        let malformed = || damaged(self.at, "an event is malformed");
        let mut rest = &self.bytes[start..end];
        let record = Record::take(&mut rest).map_err(|_| malformed())?;
        self.rest.0 = end - rest.len();
        let position = self.next;
        self.next += 1;
        let wanted = (self.from..=self.to).contains(&position)
            && self.filter.passes(record.stream, record.kind, record.subject);
        let deleted = record.erased
            || position < self.deletions.end() && self.deletions.holds(record.stream, record.revision);
        if !wanted || deleted {
            return Ok(None);
        }
        let (position, revision) = (Position::from_parts(position, 0), Revision(record.revision));
        let stream = self.names.stream(record.stream);
        let data = self.bytes.slice_ref(record.data);
        let event = record.to_event(&mut self.names, data).map_err(|_| malformed())?;
        Ok(Some(StoredEvent { position, stream, revision, event }))
    }
}

impl Iterator for Block {
    type Item = Result<StoredEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.next == self.behind {
                let frame = self.frames.pop()?;
                (self.rest, self.at) = (frame.payload, frame.at);
                (self.next, self.behind) = (frame.first, frame.first + u64::from(frame.count));
                continue;
            }
            match self.take() {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(error) => {
                    self.frames.clear();
                    self.next = self.behind;
                    return Some(Err(error));
                }
            }
        }
    }
}
