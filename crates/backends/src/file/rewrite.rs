//! Going through a finished segment to write it anew, without what was deleted. Nothing moves: every frame stays where
//! it is, and every event that is not deleted.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use steadfast_base::disk::{DiskFile, OpenMode};
use steadfast_core::store::{Error, Outcome};

use super::compress::Compress;
use super::format::frame::{self, Frame, Invalid};
use super::format::record::{Malformed, Record, erase};
use super::format::segment::Header;
use super::format::{Offset, VERSION};
use super::index::{Deleted, Held};
use super::reader::damaged;
use super::segments::Segments;
use super::shared::{Shared, damage, read_error};
use super::sparse::Sparse;
use super::window::Window;

/// How much is read at once.
const READ: usize = 1 << 20;

/// What is due in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) number: u32,
    /// The position of the first event, and the one after the last.
    pub(super) first: u64,
    pub(super) next: u64,
    /// Where the last frame ends.
    pub(super) end: Offset,
}

impl From<&Held> for Due {
    fn from(held: &Held) -> Self {
        match held {
            Held::Memory(part) => {
                let (first, next) = (part.first, part.next());
                Self { number: part.number, first, next, end: Offset::new(part.number, part.end) }
            }
            Held::File(file) => {
                Self { number: file.number(), first: file.first(), next: file.next(), end: file.end() }
            }
        }
    }
}

/// How a segment is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it was written first.
    Plain,
    /// Compressed.
    Archived,
}

/// What a segment is written to.
enum Sink {
    Plain(Sparse),
    Archived(Box<Compress>),
}

impl Sink {
    fn new(form: Form, file: Box<dyn DiskFile>, header: &Header, due: Due) -> io::Result<Self> {
        Ok(match form {
            Form::Plain => Self::Plain(Sparse::new(file)),
            Form::Archived => Self::Archived(Box::new(Compress::new(file, header, due.end.byte())?)),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sparse) => sparse.write(bytes),
            Self::Archived(compress) => compress.write(bytes),
        }
    }

    fn finish(self, size: u64) -> io::Result<()> {
        match self {
            Self::Plain(sparse) => sparse.finish(size),
            Self::Archived(compress) => compress.finish(),
        }
    }
}

/// Writes a finished segment anew in this form, without the events that are `deleted`, and returns how many of them were
/// still there. If there are none and the form is what it was, the segment is not changed. The caller holds the right to
/// rewrite.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Io`] and [`Error::Full`]; the segment is as it was then, or done.
pub(super) fn rewrite(
    shared: &Shared,
    held: &Held,
    deleted: &HashMap<Arc<str>, Deleted>,
    form: Form,
) -> Result<u64, Error> {
    let (segments, identity, due) = (&shared.segments, shared.state().identity, Due::from(held));
    let size = segments.reader(due.number).and_then(|file| file.length()).map_err(read_error)?;
    let header = Header { version: VERSION, number: due.number, size, identity };
    let is_archived = segments.stored(due.number).map_err(read_error)?.archived;
    let changes_form = is_archived != (form == Form::Archived);
    segments.discard(due.number).map_err(rewriting)?;
    let unfinished = segments.unfinished(due.number);
    let file = segments.disk().open(&unfinished, OpenMode::CreateNew).map_err(rewriting)?;
    let written = Sink::new(form, file, &header, due).map_err(rewriting).and_then(|mut sink| {
        sink.write(&header.encode()).map_err(rewriting)?;
        let write = &mut |frame: &[u8]| sink.write(frame).map_err(rewriting);
        let passed = pass(segments, identity, due, deleted, write)?;
        let changes = changes_form || passed.erased > 0;
        if changes {
            sink.finish(header.size).map_err(rewriting)?;
        }
        Ok((passed, changes))
    });
    match written {
        Ok((passed, true)) => {
            segments.replace(due.number).map_err(rewriting)?;
            shared.replaced(held, passed.last_checksum);
            Ok(passed.erased)
        }
        Ok((passed, _)) => {
            segments.discard(due.number).map_err(rewriting)?;
            // It may be in place since an attempt that failed after that.
            shared.replaced(held, passed.last_checksum);
            Ok(0)
        }
        Err(error) => {
            let _ = segments.discard(due.number);
            Err(error)
        }
    }
}

/// What going through a segment has found.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    /// How many events were erased now.
    erased: u64,
    /// The checksum of the last frame as it is now.
    last_checksum: u32,
}

/// Gives every frame of a finished segment to `write`, in order, with the events erased that are `deleted`.
///
/// # Errors
/// [`Error::Damaged`] when the segment does not hold what is due, [`Error::Io`], and those of `write`.
fn pass(
    segments: &Segments,
    identity: u64,
    due: Due,
    deleted: &HashMap<Arc<str>, Deleted>,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<Passed, Error> {
    let file = segments.reader(due.number).map_err(read_error)?;
    let mut window = Window::new(READ);
    let (mut at, mut next) = (Offset::start_of(due.number), due.first);
    let mut passed = Passed::default();
    let mut bytes = Vec::new();
    while at < due.end {
        let frame = match window.frame(&*file, identity, at).map_err(read_error)? {
            Ok(frame) if frame.first == next => frame,
            Ok(_) => return Err(damaged(at, "a frame starts with another position than is due")),
            Err(Invalid::Empty) => return Err(damaged(at, "a frame is missing")),
            Err(Invalid::Broken(problem)) => return Err(damaged(at, problem)),
        };
        next += u64::from(frame.count);
        let (length, durable) = (frame.length, frame.durable);
        let places = places(&frame, deleted).map_err(|_| damaged(at, "an event is malformed"))?;
        bytes.clear();
        bytes.extend_from_slice(window.at(&*file, at, length).map_err(read_error)?);
        if !places.is_empty() {
            for (start, end) in &places {
                let record = &mut bytes[frame::HEADER + start..frame::HEADER + end];
                erase(record).map_err(|_| damaged(at, "an event is malformed"))?;
            }
            frame::seal(&mut bytes, identity, at, durable);
            passed.erased += places.len() as u64;
        }
        passed.last_checksum = frame::checksum_of(&bytes).unwrap_or_default();
        write(&bytes)?;
        at = at.plus(length);
    }
    if (at, next) == (due.end, due.next) { Ok(passed) } else { Err(damaged(at, "events are missing")) }
}

/// Returns where in the payload of a frame the events are that are deleted and not erased.
fn places(frame: &Frame<'_>, deleted: &HashMap<Arc<str>, Deleted>) -> Result<Vec<(usize, usize)>, Malformed> {
    let (mut rest, mut places) = (frame.payload, Vec::new());
    if deleted.is_empty() {
        return Ok(places);
    }
    for _ in 0..frame.count {
        let start = frame.payload.len() - rest.len();
        let record = Record::take(&mut rest)?;
        let gone = deleted.get(record.stream).is_some_and(|deleted| record.revision < deleted.below);
        if gone && !record.erased {
            places.push((start, frame.payload.len() - rest.len()));
        }
    }
    Ok(places)
}

fn rewriting(error: io::Error) -> Error {
    damage(&error)
        .unwrap_or_else(|| Error::io("writing a segment of the log anew", error, Outcome::NotAppended))
}
