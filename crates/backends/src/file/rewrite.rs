//! Going through a finished segment to write it anew, without what was deleted. Nothing moves: every frame stays where
//! it is, and every event that is not deleted.

use std::collections::HashMap;
use std::sync::Arc;

use steadfast_core::store::Error;

use super::format::Offset;
use super::format::frame::{self, Frame, Invalid};
use super::format::record::{Malformed, Record, erase};
use super::index::{Deleted, Held};
use super::reader::damaged;
use super::segments::Segments;
use super::shared::read_error;
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

/// What going through a segment has found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    /// How many events were erased now.
    pub(super) erased: u64,
    /// The checksum of the last frame as it is now.
    pub(super) last_checksum: u32,
}

/// Gives every frame of a finished segment to `write`, in order, with the events erased that are `deleted`.
///
/// # Errors
/// [`Error::Damaged`] when the segment does not hold what is due, [`Error::Io`], and those of `write`.
pub(super) fn pass(
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
