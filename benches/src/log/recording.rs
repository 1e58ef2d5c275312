//! A disk that passes everything on and notes what the log's writer writes.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode, RealDisk};

/// The real disk with a note of each write by the thread that commits.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording(Arc<Mutex<Vec<usize>>>);

impl Recording {
    /// Returns how many bytes each write since the last call had.
    pub(super) fn take(&self) -> Vec<usize> {
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
            self.writes.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.len());
        }
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
