//! A stretch of a segment, checked, out of which events are made one by one as they are asked for.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use steadfast_core::store::{Error, Filter, Position, Revision, StoredEvent};

use super::buffers::Buffer;
use super::format::Offset;
use super::format::names::Names;
use super::format::raw::Raw;
use super::format::record::Malformed;
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
    /// Up to where it has been looked at.
    fetched: usize,
    /// Which events are wanted, both ends included.
    from: u64,
    to: u64,
    /// None where all pass.
    filter: Option<Arc<Filter>>,
    deletions: Arc<Deletions>,
    names: Names,
}

impl Block {
    pub(super) fn new(
        buffer: Buffer,
        mut frames: Vec<FrameAt>,
        (from, to): (u64, u64),
        filter: &Arc<Filter>,
        deletions: Arc<Deletions>,
    ) -> Self {
        frames.reverse();
        let bytes = Bytes::from_owner(buffer);
        let filter = (**filter != Filter::all()).then(|| Arc::clone(filter));
        let (rest, next, behind, at) = ((0, 0), 0, 0, Offset::new(0, 0));
        let names = Names::default();
        Self { bytes, frames, rest, next, behind, at, fetched: 0, from, to, filter, deletions, names }
    }

    /// Its frames, newest first.
    pub(super) fn frames(&self) -> &[FrameAt] {
        &self.frames
    }

    pub(super) fn payload(&self, frame: &FrameAt) -> &[u8] {
        &self.bytes[frame.payload.0..frame.payload.1]
    }

    /// Says whether the event at `position` is one of those that are asked for.
    pub(super) fn wants(&self, position: u64) -> bool {
        (self.from..=self.to).contains(&position)
    }

    pub(super) fn deletions(&self) -> &Deletions {
        &self.deletions
    }

    /// Ends it.
    #[cold]
    fn malformed(&mut self) -> Error {
        self.frames.clear();
        self.next = self.behind;
        damaged(self.at, "an event is malformed")
    }

    /// Looks at what comes within the next kibibytes, unless that was done. Another core has read it, and the way to
    /// it is long: all at once it is gone once, event by event, since each tells where the next begins, many times.
    fn fetch(&mut self) {
        const LINE: usize = 64;
        const STEP: usize = 16 << 10;
        const MARGIN: usize = 1 << 10;
        let start = self.rest.0;
        if start + MARGIN > self.fetched && self.fetched < self.bytes.len() {
            let end = self.bytes.len().min(start + STEP);
            let lines = self.bytes[self.fetched.max(start)..end].iter().step_by(LINE);
            black_box(lines.fold(0, |all, byte| all | byte));
            self.fetched = end;
        }
    }
}

impl Iterator for Block {
    type Item = Result<StoredEvent, Error>;

    // In line, as is `Raw::make_event`, so that an event is made where it is handed out.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.next == self.behind {
                let frame = self.frames.pop()?;
                (self.rest, self.at) = (frame.payload, frame.at);
                (self.next, self.behind) = (frame.first, frame.first + u64::from(frame.count));
                continue;
            }
            self.fetch();
            let (start, end) = self.rest;
            let mut rest = &self.bytes[start..end];
            let Ok(raw) = Raw::take(&mut rest) else { return Some(Err(self.malformed())) };
            self.rest.0 = end - rest.len();
            let position = self.next;
            self.next += 1;
            if position < self.from || position > self.to || raw.erased {
                continue;
            }
            if position < self.deletions.end() {
                match raw.is_deleted(&self.deletions) {
                    Ok(false) => {}
                    Ok(true) => continue,
                    Err(Malformed) => return Some(Err(self.malformed())),
                }
            }
            if let Some(filter) = &self.filter {
                match raw.passes(filter) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(Malformed) => return Some(Err(self.malformed())),
                }
            }
            let data = self.bytes.slice_ref(raw.data);
            let Ok(stream) = self.names.stream(raw.stream) else { return Some(Err(self.malformed())) };
            let Ok(event) = raw.make_event(&mut self.names, data) else { return Some(Err(self.malformed())) };
            let (position, revision) = (Position::from_parts(position, 0), Revision(raw.revision));
            return Some(Ok(StoredEvent { position, stream, revision, event }));
        }
    }
}
