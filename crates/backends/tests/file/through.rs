//! A disk that passes everything on, but for what a test does on the way.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode};

/// What happens on the way to the disk below.
pub(crate) trait Way: Debug + Send + Sync + 'static {
    /// What a file is known by.
    type Known: Debug + Send + Sync + 'static;

    /// Says what a file is known by that is opened.
    fn opens(&self, path: &Path, mode: OpenMode) -> Self::Known;

    /// Comes before each change, of files and of folders.
    fn before_change(&self) {}

    fn read(
        &self,
        _known: &Self::Known,
        file: &dyn DiskFile,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    fn write(&self, _known: &Self::Known, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        file.sync_data()
    }
}

#[derive(Debug)]
pub(crate) struct Through<W> {
    below: Arc<dyn Disk>,
    pub(crate) way: Arc<W>,
}

impl<W> Clone for Through<W> {
    fn clone(&self) -> Self {
        Self { below: Arc::clone(&self.below), way: Arc::clone(&self.way) }
    }
}

impl<W: Way> Through<W> {
    pub(crate) fn new(way: W, below: Arc<dyn Disk>) -> Self {
        Self { below, way: Arc::new(way) }
    }
}

impl<W: Way> Disk for Through<W> {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.way.before_change();
        self.below.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        if mode != OpenMode::Read {
            self.way.before_change();
        }
        let file = self.below.open(path, mode)?;
        let known = self.way.opens(path, mode);
        Ok(Box::new(ThroughFile { file, known, way: Arc::clone(&self.way) }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.below.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.way.before_change();
        self.below.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.way.before_change();
        self.below.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.way.before_change();
        self.below.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.below.lock(path)
    }
}

#[derive(Debug)]
struct ThroughFile<W: Way> {
    file: Box<dyn DiskFile>,
    known: W::Known,
    way: Arc<W>,
}

impl<W: Way> DiskFile for ThroughFile<W> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.way.read(&self.known, &*self.file, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.way.before_change();
        self.way.write(&self.known, &*self.file, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.way.before_change();
        self.way.sync(&*self.file)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.way.before_change();
        self.file.allocate(length)
    }

    fn write_zeros(&self, length: u64) -> io::Result<()> {
        self.way.before_change();
        self.file.write_zeros(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.way.before_change();
        self.file.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
