//! A disk in memory that can lose power.

mod volume;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::volume::Volume;
use super::{Disk, DiskFile, DiskLock, OpenMode};
use crate::Seed;

/// What the loss of power does to data that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Crash {
    /// All of it is lost.
    Dropped,
    /// Of each file a random subset of its unsynced sectors of 512 bytes survives, and of the unsynced changes of
    /// folders the first few do.
    Torn,
    /// Nothing is lost: only the process died, and the operating system still has everything.
    ProcessOnly,
}

/// An error that the disk is told to give, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiskFault {
    /// The write after `skip` further ones fails with an I/O error, a part of it written.
    WriteError {
        /// How many writes succeed before.
        skip: u64,
    },
    /// The write or allocation after `skip` further ones fails for want of space, a part of it written.
    WriteFull {
        /// How many succeed before.
        skip: u64,
    },
    /// The sync of a file after `skip` further ones fails with an I/O error. As on Linux, the data counts as
    /// clean from then on: later syncs do not make it durable unless it is written again.
    SyncError {
        /// How many syncs succeed before.
        skip: u64,
    },
}

/// A disk in memory which knows what would survive the loss of power, and can fail on purpose.
///
/// Everything random about it comes from its seed, so that a failing test is one number. Clones share the disk.
/// What runs on the disk sees it as a [`SimProcess`]; after [`SimDisk::crash`], processes started before, their
/// files and their locks are dead, so that a thread which has not noticed yet does no harm.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use steadfast_base::{Seed, disk::{Crash, Disk, OpenMode, SimDisk}};
///
/// # fn main() -> std::io::Result<()> {
/// let disk = SimDisk::new(Seed::new(1));
/// let process = disk.process();
/// process.create_dir_all(Path::new("/log"))?;
/// let file = process.open(Path::new("/log/a"), OpenMode::CreateNew)?;
/// file.write_all_at(b"synced", 0)?;
/// file.sync_data()?;
/// process.sync_dir(Path::new("/log"))?;
/// file.write_all_at(b"forgot", 0)?;
/// disk.crash(Crash::Dropped);
///
/// let mut found = [0; 6];
/// disk.process().open(Path::new("/log/a"), OpenMode::Read)?.read_at(&mut found, 0)?;
/// assert_eq!(&found, b"synced");
/// assert!(file.write_all_at(b"undead", 0).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SimDisk {
    volume: Arc<Mutex<Volume>>,
}

impl SimDisk {
    /// Makes an empty disk whose randomness is that of `seed`.
    pub fn new(seed: Seed) -> Self {
        Self { volume: Arc::new(Mutex::new(Volume::new(seed))) }
    }

    /// Returns the disk as a process sees it that starts now.
    pub fn process(&self) -> SimProcess {
        SimProcess { disk: self.clone(), generation: self.volume().generation }
    }

    /// Loses power, or only the process, and comes back with no errors left to give. Nothing started or opened
    /// before works any more.
    pub fn crash(&self, crash: Crash) {
        self.volume().crash(crash);
    }

    /// Loses power after `operations` further ones which change the disk: these succeed, all later ones of any
    /// kind fail until [`SimDisk::crash`].
    pub fn power_off_after(&self, operations: u64) {
        self.volume().power_left = Some(operations);
    }

    /// Says whether the power is off; see [`SimDisk::power_off_after`].
    pub fn is_off(&self) -> bool {
        self.volume().power_left == Some(0)
    }

    /// Takes syncing out, or puts it back: a sync succeeds and does nothing.
    pub fn lie_about_sync(&self, lie: bool) {
        self.volume().sync_is_a_lie = lie;
    }

    /// Adds an error to give; each is given once.
    pub fn fail(&self, fault: DiskFault) {
        self.volume().faults.push(fault);
    }

    /// Flips one bit of a file, durably: damage, not a torn write. Bytes that are not there stay so.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        self.volume().flip_bit(path, offset, bit);
    }

    /// Returns how many syncs of files have been asked for so far.
    pub fn syncs(&self) -> u64 {
        self.volume().syncs
    }

    fn volume(&self) -> MutexGuard<'_, Volume> {
        self.volume.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the volume for a process that started in `generation`, if it still lives.
    fn volume_of(&self, generation: u64) -> io::Result<MutexGuard<'_, Volume>> {
        let volume = self.volume();
        if volume.generation != generation {
            return Err(io::Error::other("this process ended in a crash"));
        }
        Ok(volume)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

/// A [`SimDisk`] as one process sees it, up to the next crash; made by [`SimDisk::process`].
#[derive(Debug, Clone)]
pub struct SimProcess {
    disk: SimDisk,
    generation: u64,
}

impl SimProcess {
    fn volume(&self) -> io::Result<MutexGuard<'_, Volume>> {
        self.disk.volume_of(self.generation)
    }
}

impl Disk for SimProcess {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.volume()?.create_dir(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.volume()?.open(path, mode)?;
        Ok(Box::new(SimFile { process: self.clone(), inode, writable: mode != OpenMode::Read }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.volume()?.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.volume()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.volume()?.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.volume()?.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.volume()?.lock(path)?;
        Ok(Box::new(SimLock { process: self.clone(), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct SimFile {
    process: SimProcess,
    inode: u64,
    writable: bool,
}

impl SimFile {
    fn volume_to_write(&self) -> io::Result<MutexGuard<'_, Volume>> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.process.volume()
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.process.volume()?.read(self.inode, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.volume_to_write()?.write(self.inode, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.process.volume()?.sync(self.inode)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.volume_to_write()?.allocate(self.inode, length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.volume_to_write()?.set_length(self.inode, length)
    }

    fn length(&self) -> io::Result<u64> {
        self.process.volume()?.length(self.inode)
    }
}

#[derive(Debug)]
struct SimLock {
    process: SimProcess,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        // Of a dead process the crash has taken the lock already.
        if let Ok(mut volume) = self.process.volume() {
            volume.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
