//! A disk in memory that can lose power.

mod change;
mod fault;
mod inode;
mod odds;
mod volume;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::fault::Crash;
pub use self::fault::DiskFault;
pub use self::odds::Odds;
use self::volume::Volume;
use super::{Disk, DiskFile, DiskLock, OpenMode};
use crate::Seed;

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

    /// Returns another disk that is as this one is now, with the same randomness to come; what happens on the one
    /// is not seen on the other. Processes and files of this disk are not those of the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut volume = self.volume().clone();
        volume.generation += 1;
        volume.locks.clear();
        Self { volume: Arc::new(Mutex::new(volume)) }
    }

    /// Loses power, or only the process, and comes back with no errors left to give: see [`SimDisk::calm`].
    /// Nothing started or opened before works any more.
    pub fn crash(&self, crash: Crash) {
        self.volume().crash(crash);
    }

    /// Puts the power back and forgets all errors that were still to be given, and the odds. Space stays limited.
    pub fn calm(&self) {
        self.volume().calm();
    }

    /// Loses power after `operations` further ones which change the disk: these succeed, all later ones of any
    /// kind fail until [`SimDisk::crash`]. If the first of those is a write, it leaves a part of what it was given,
    /// as when power is lost, or the process killed, in the midst of it.
    pub fn power_off_after(&self, operations: u64) {
        self.volume().power_off_after(operations);
    }

    /// Says whether the power is off; see [`SimDisk::power_off_after`].
    pub fn is_off(&self) -> bool {
        self.volume().is_off()
    }

    /// Takes syncing out, or puts it back: a sync succeeds and does nothing.
    pub fn lie_about_sync(&self, lie: bool) {
        self.volume().sync_is_a_lie = lie;
    }

    /// Adds an error to give; each is given once.
    pub fn fail(&self, fault: DiskFault) {
        self.volume().faults.push(fault);
    }

    /// Sets how likely each thing goes wrong from now on, until [`SimDisk::calm`] or [`SimDisk::crash`].
    pub fn set_odds(&self, odds: Odds) {
        self.volume().odds = odds;
    }

    /// Limits the length of all files together to `bytes`, or takes the limit away. What would grow beyond it
    /// fails for want of space; what is longer already stays.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.volume().space = bytes;
    }

    /// Flips one bit of a file, durably: damage, not a torn write. Bytes that are not there stay so.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        self.volume().flip_bit(path, offset, bit);
    }

    /// Flips one bit as [`SimDisk::flip_bit`] does, any bit of any file, and returns the file and the byte; none if
    /// there is no byte.
    pub fn flip_random_bit(&self) -> Option<(PathBuf, u64)> {
        self.volume().flip_random_bit()
    }

    /// Returns how many syncs of files have been asked for so far.
    pub fn syncs(&self) -> u64 {
        self.volume().syncs
    }

    /// Returns how many syncs of files have failed so far.
    pub fn failed_syncs(&self) -> u64 {
        self.volume().failed_syncs
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
