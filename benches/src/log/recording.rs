//! A disk that passes everything on and notes what the log's writer writes.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode, RealDisk};

/// The real disk with a note of each write by the thread that commits.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording(Arc<Mutex<Vec<u64>>>);

impl Recording {
    /// Returns how many events each write since the last call had.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Disk for Recording {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File { file: RealDisk.open(path, mode)?, writes: self.clone() }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        RealDisk.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        RealDisk.lock(path)
    }
}

#[derive(Debug)]
struct File {
    file: Box<dyn DiskFile>,
    writes: Recording,
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if std::thread::current().name() == Some("log-write") {
            self.writes.0.lock().unwrap_or_else(PoisonError::into_inner).push(events(bytes));
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn write_zeros(&self, length: u64) -> io::Result<()> {
        self.file.write_zeros(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

/// Counts the events of the frames that `bytes` starts with. A frame has a header of 32 bytes, with the length of what
/// follows at byte 8 and the count at byte 12, and is filled up to a multiple of 8.
fn events(mut bytes: &[u8]) -> u64 {
    let mut events = 0;
    while let Some((header, rest)) =
        bytes.split_at_checked(32).filter(|(header, _)| header.starts_with(b"SF"))
    {
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        events += u64::from(number(12));
        bytes = rest.get((number(8) as usize).next_multiple_of(8)..).unwrap_or_default();
    }
    events
}
