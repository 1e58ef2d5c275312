//! The files of a log: opened, made and filled with zeros.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_base::disk::{Disk, DiskFile, OpenMode};

use super::archived::ArchivedFile;
use super::format::VERSION;
use super::format::archive::{self, Archive};
use super::format::segment::{HEADER, Header, name};
use super::sealed;

/// How many bytes are copied at once.
const COPIED: usize = 256 << 10;
/// How many files are kept open for readers.
const OPEN_MAX: usize = 16;

/// The folder of a log.
#[derive(Debug)]
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    open: Mutex<OpenFiles>,
    /// Whether blocks of archived segments that cannot be read are left out, and not an error.
    lenient: bool,
}

/// How a segment lies on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) archived: bool,
    /// How long its file is.
    pub(super) bytes: u64,
}

/// The files that are kept open for readers.
#[derive(Debug, Default)]
struct OpenFiles {
    /// Most recently used last.
    files: Vec<(u32, Arc<dyn DiskFile>)>,
    /// How often files were forgotten: one that was opened before may be another one than the one that is there.
    forgotten: u64,
}

impl Segments {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, open: Mutex::default(), lenient: false }
    }

    /// Lets whoever reads go on behind blocks of archived segments that cannot be read.
    pub(super) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
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
        if let Some(at) = open.files.iter().position(|(kept, _)| *kept == number) {
            let entry = open.files.remove(at);
            let file = Arc::clone(&entry.1);
            open.files.push(entry);
            return Ok(file);
        }
        let forgotten = open.forgotten;
        drop(open);
        let file = self.disk.open(&self.path(number), OpenMode::Read)?;
        let file: Arc<dyn DiskFile> = match is_archived(&*file)? {
            true => Arc::new(ArchivedFile::open(file, number, self.lenient)?),
            false => file.into(),
        };
        let mut open = self.open.lock();
        if open.forgotten == forgotten {
            if open.files.len() == OPEN_MAX {
                open.files.remove(0);
            }
            open.files.push((number, Arc::clone(&file)));
        }
        Ok(file)
    }

    /// Opens segment `number` as it lies on the disk, and says what it starts with.
    pub(super) fn start(&self, number: u32) -> io::Result<(Start, Box<dyn DiskFile>)> {
        let file = self.disk.open(&self.path(number), OpenMode::Read)?;
        let mut bytes = vec![0; HEADER.max(archive::HEADER)];
        let count = file.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        let start = match archive::is_archived(&bytes) {
            true => Start::Archived(Archive::decode(&bytes)),
            false => Start::Plain(bytes),
        };
        Ok((start, file))
    }

    /// Forgets the open file of segment `number`, which another process may have replaced.
    pub(super) fn forget(&self, number: u32) {
        let mut open = self.open.lock();
        open.forgotten += 1;
        open.files.retain(|(kept, _)| *kept != number);
    }

    /// Forgets all open files, which another process may have replaced.
    pub(super) fn forget_all(&self) {
        let mut open = self.open.lock();
        open.forgotten += 1;
        open.files.clear();
    }

    /// Where segment `number` is made, or made anew.
    pub(super) fn unfinished(&self, number: u32) -> PathBuf {
        self.path(number).with_extension("new")
    }

    /// Removes what was being made of segment `number`, if there is anything.
    pub(super) fn discard(&self, number: u32) -> io::Result<()> {
        match self.disk.remove(&self.unfinished(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Puts segment `number`, which was made anew and is durable, in the place of the one before.
    pub(super) fn replace(&self, number: u32) -> io::Result<()> {
        let renamed = self.disk.rename(&self.unfinished(number), &self.path(number));
        self.forget(number);
        renamed?;
        self.disk.sync_dir(&self.folder)
    }

    /// Returns segment `number` for writing, if it exists.
    pub(super) fn writer(&self, number: u32) -> io::Result<Option<Box<dyn DiskFile>>> {
        match self.disk.open(&self.path(number), OpenMode::Write) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says how segment `number` lies on the disk.
    pub(super) fn stored(&self, number: u32) -> io::Result<Stored> {
        let file = self.disk.open(&self.path(number), OpenMode::Read)?;
        Ok(Stored { archived: is_archived(&*file)?, bytes: file.length()? })
    }

    /// Makes segment `number` one that can be written to, if it is archived, with zeros from byte `end` on; says whether
    /// it was.
    pub(super) fn expand(&self, number: u32, end: u64) -> io::Result<bool> {
        let head = match self.start(number)? {
            (Start::Archived(head), _) => head.ok_or(io::ErrorKind::InvalidData)?,
            (Start::Plain(_), _) => return Ok(false),
        };
        let header = Header { version: VERSION, number, size: head.size, identity: head.identity };
        let from = self.reader(number)?;
        self.discard(number)?;
        let to = self.disk.open(&self.unfinished(number), OpenMode::CreateNew)?;
        let size = from.length()?;
        to.allocate(size)?;
        // The block that it is in may be damaged.
        to.write_all_at(&header.encode(), 0)?;
        let mut bytes = vec![0; COPIED];
        let mut at = HEADER as u64;
        while at < size {
            let count = (size - at).min(COPIED as u64) as usize;
            let kept = end.saturating_sub(at).min(count as u64) as usize;
            from.read_at(&mut bytes[..kept], at)?;
            bytes[kept..].fill(0);
            to.write_all_at(&bytes[..count], at)?;
            at += count as u64;
        }
        to.sync_data()?;
        self.replace(number)?;
        Ok(true)
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
        self.discard(header.number)?;
        let filled = self.fill(header);
        if filled.is_err() {
            // What is there of it takes room that others may need.
            let _ = self.discard(header.number);
        }
        let file = filled?;
        self.disk.rename(&self.unfinished(header.number), &self.path(header.number))?;
        self.disk.sync_dir(&self.folder)?;
        Ok(file)
    }

    /// Writes the segment that `header` describes where it is made, durably.
    fn fill(&self, header: &Header) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(&self.unfinished(header.number), OpenMode::CreateNew)?;
        file.allocate(header.size)?;
        // Blocks that are merely reserved would have to be marked as written by the first commit into them.
        file.write_zeros(header.size)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        Ok(file)
    }
}

/// What the first bytes of a segment's file say.
#[derive(Debug)]
pub(super) enum Start {
    Plain(Vec<u8>),
    /// None if it is not whole.
    Archived(Option<Archive>),
}

fn is_archived(file: &dyn DiskFile) -> io::Result<bool> {
    let mut bytes = [0; 16];
    let count = file.read_at(&mut bytes, 0)?;
    Ok(archive::is_archived(&bytes[..count]))
}
