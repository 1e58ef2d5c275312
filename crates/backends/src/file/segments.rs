//! The files of a log: opened, made and filled with zeros.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_base::disk::{Disk, DiskFile, OpenMode};

use super::format::segment::{Header, name};
use super::sealed;

/// How many bytes of zeros are written at once.
const ZEROS: usize = 256 << 10;
/// How many files are kept open for readers.
const OPEN_MAX: usize = 16;

/// The folder of a log.
#[derive(Debug)]
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Most recently used last.
    open: Mutex<Vec<(u32, Arc<dyn DiskFile>)>>,
}

impl Segments {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, open: Mutex::new(Vec::new()) }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, number: u32) -> PathBuf {
        self.folder.join(name(number))
    }

    /// Returns segment `number` for reading.
    pub(super) fn reader(&self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|(kept, _)| *kept == number) {
            let entry = open.remove(at);
            let file = Arc::clone(&entry.1);
            open.push(entry);
            return Ok(file);
        }
        drop(open);
        let file: Arc<dyn DiskFile> = self.disk.open(&self.path(number), OpenMode::Read)?.into();
        let mut open = self.open.lock();
        if open.len() == OPEN_MAX {
            open.remove(0);
        }
        open.push((number, Arc::clone(&file)));
        Ok(file)
    }

    /// Forgets the open file of segment `number`, which another process may have replaced.
    pub(super) fn forget(&self, number: u32) {
        self.open.lock().retain(|(kept, _)| *kept != number);
    }

    /// Returns segment `number` for writing, if it exists.
    pub(super) fn writer(&self, number: u32) -> io::Result<Option<Box<dyn DiskFile>>> {
        match self.disk.open(&self.path(number), OpenMode::Write) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what the index holds of segment `number` on the disk.
    pub(super) fn remove_index(&self, number: u32) -> io::Result<()> {
        match self.disk.remove(&sealed::path(&self.folder, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes segment `number`, durably.
    pub(super) fn remove(&self, number: u32) -> io::Result<()> {
        self.remove_index(number)?;
        self.forget(number);
        self.disk.remove(&self.path(number))?;
        self.disk.sync_dir(&self.folder)
    }

    /// Makes the segment that `header` describes. It gets its name when all of it is durable, so that a segment
    /// which can be seen is whole.
    pub(super) fn prepare(&self, header: &Header) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(header.number);
        let unfinished = path.with_extension("new");
        match self.disk.remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.disk.open(&unfinished, OpenMode::CreateNew)?;
        file.allocate(header.size)?;
        // Blocks that are merely reserved would have to be marked as written by the first commit into them.
        let zeros = vec![0; ZEROS.min(header.size as usize)];
        let mut at = 0;
        while at < header.size {
            let count = (header.size - at).min(zeros.len() as u64);
            file.write_all_at(&zeros[..count as usize], at)?;
            at += count;
        }
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        self.disk.rename(&unfinished, &path)?;
        self.disk.sync_dir(&self.folder)?;
        Ok(file)
    }
}
