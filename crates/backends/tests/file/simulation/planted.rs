//! Defects that the simulation must notice, or it would prove nothing.

use std::io;
use std::path::Path;

use steadfast_base::disk::{DiskFile, OpenMode};

use super::life::segment_of;
use crate::support::small;
use crate::through::Way;

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    None,
    /// `fdatasync` is taken out.
    NoSync,
    /// The condition of an append is checked after the write.
    LateCondition,
    /// A deletion is answered before it is as safe as was asked for.
    EarlyDeletion,
    /// Checksums are not checked.
    NoChecksum,
}

/// All checksums match: whatever looks like a frame is given the right one when it is read.
#[derive(Debug)]
pub(super) struct Credulous;

impl Way for Credulous {
    /// The number of the segment, 0 for other files.
    type Known = u32;

    fn opens(&self, path: &Path, _mode: OpenMode) -> u32 {
        segment_of(path).unwrap_or(0)
    }

    fn read(&self, segment: &u32, file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = file.read_at(buffer, offset)?;
        let aligned = (offset.next_multiple_of(8) - offset) as usize;
        for at in (aligned..count.saturating_sub(31)).step_by(8) {
            if buffer[at..at + 4] != *b"SF\x01\0" {
                continue;
            }
            let payload =
                u32::from_le_bytes(buffer[at + 8..at + 12].try_into().expect("four bytes")) as usize;
            let end = at + (32 + payload).next_multiple_of(8);
            if end <= count {
                let place = u64::from(*segment) << 32 | (offset + at as u64);
                let identity = small().identity.expect("it is given");
                let salt = [&identity.to_le_bytes()[..], &place.to_le_bytes(), &buffer[at..at + 4]].concat();
                let sum = crc32c::crc32c_append(crc32c::crc32c(&salt), &buffer[at + 8..end]);
                buffer[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
            }
        }
        Ok(count)
    }
}
