//! Defects that the simulation must notice, or it would prove nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode};

use super::life::segment_of;
use crate::support::small;

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

/// A disk on which all checksums match: whatever looks like a frame is given the right one when it is read.
#[derive(Debug)]
pub(super) struct Credulous(pub(super) Arc<dyn Disk>);

impl Disk for Credulous {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.open(path, mode)?;
        Ok(Box::new(CredulousFile { file, segment: segment_of(path).unwrap_or(0) }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.0.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.0.lock(path)
    }
}

#[derive(Debug)]
struct CredulousFile {
    file: Box<dyn DiskFile>,
    segment: u32,
}

impl DiskFile for CredulousFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.file.read_at(buffer, offset)?;
        let aligned = (offset.next_multiple_of(8) - offset) as usize;
        for at in (aligned..count.saturating_sub(31)).step_by(8) {
            if buffer[at..at + 4] != *b"SF\x01\0" {
                continue;
            }
            let payload =
                u32::from_le_bytes(buffer[at + 8..at + 12].try_into().expect("four bytes")) as usize;
            let end = at + (32 + payload).next_multiple_of(8);
            if end <= count {
                let place = u64::from(self.segment) << 32 | (offset + at as u64);
                let identity = small().identity.expect("it is given");
                let salt = [&identity.to_le_bytes()[..], &place.to_le_bytes(), &buffer[at..at + 4]].concat();
                let sum = crc32c::crc32c_append(crc32c::crc32c(&salt), &buffer[at + 8..end]);
                buffer[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
            }
        }
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
