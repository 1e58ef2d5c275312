//! A piece of a segment in memory, out of which frames are read.

use std::io;

use steadfast_base::disk::DiskFile;

use super::archived::readable_before;
use super::format::Offset;
use super::format::frame::{self, Frame, Invalid};

/// What stands at an offset.
pub(super) type Found<'a> = Result<Frame<'a>, Invalid>;

/// A buffer over one segment at a time, refilled as needed.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    start: Offset,
    /// How many bytes are read at once at least, but none from `end` on that are not asked for.
    ahead: usize,
    end: Offset,
}

impl Window {
    pub(super) fn new(ahead: usize) -> Self {
        Self { bytes: Vec::new(), start: Offset::new(0, 0), ahead, end: Offset::from_bits(u64::MAX) }
    }

    /// Has nothing read ahead that stands at `end` or behind it: there is nothing yet, and reading it would keep the
    /// writer waiting.
    pub(super) fn end_at(&mut self, end: Offset) {
        self.end = end;
    }

    /// Forgets what was read, so that the next look is at the disk.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Forgets what was read, and gives back its memory.
    pub(super) fn release(&mut self) {
        self.bytes = Vec::new();
    }

    /// Returns the frame at `at` of `file`.
    pub(super) fn frame(&mut self, file: &dyn DiskFile, identity: u64, at: Offset) -> io::Result<Found<'_>> {
        let header = self.at(file, at, frame::HEADER)?;
        let length = match frame::claimed_length(header) {
            Ok(length) => length,
            Err(invalid) => return Ok(Err(invalid)),
        };
        // A length that damage made up must not make us allocate it.
        if length > self.ahead && at.byte() as u64 + length as u64 > file.length()? {
            return Ok(Err(Invalid::Broken("the frame runs past the end of its segment")));
        }
        Ok(frame::parse(self.at(file, at, length)?, identity, at))
    }

    /// Returns the bytes from `at` on: `need` of them, or fewer if the segment ends before.
    pub(super) fn at(&mut self, file: &dyn DiskFile, at: Offset, need: usize) -> io::Result<&[u8]> {
        let here = (self.start.segment() == at.segment() && self.start <= at)
            .then(|| (at.byte() - self.start.byte()) as usize)
            .filter(|skip| skip + need <= self.bytes.len());
        let skip = match here {
            Some(skip) => skip,
            None => {
                self.fill(file, at, need)?;
                0
            }
        };
        Ok(&self.bytes[skip..(skip + need).min(self.bytes.len())])
    }

    /// Reads ahead from `at` on, up to the next damage if that is beyond what is needed.
    fn fill(&mut self, file: &dyn DiskFile, at: Offset, need: usize) -> io::Result<()> {
        let mut wanted = need.max(until(at, self.end, self.ahead));
        self.start = at;
        loop {
            self.bytes.resize(wanted, 0);
            let filled = file.read_at(&mut self.bytes, at.byte().into());
            self.bytes.truncate(*filled.as_ref().unwrap_or(&0));
            match filled.as_ref().map_err(|error| readable_before(error, at)) {
                Err(Some(before)) if (need..wanted).contains(&before) => wanted = before,
                _ => return filled.map(drop),
            }
        }
    }
}

/// Returns how many of the `count` bytes from `at` on stand before `end`, if that is in the same segment.
pub(super) fn until(at: Offset, end: Offset, count: usize) -> usize {
    if at.segment() == end.segment() {
        count.min(end.byte().saturating_sub(at.byte()) as usize)
    } else {
        count
    }
}
