//! File I/O behind a trait, so that a test can drop what was not synced.
//!
//! [`RealDisk`] is the operating system. [`SimDisk`] keeps everything in memory and knows of each byte and each
//! directory entry whether it would survive the loss of power; it can fail a write or a sync on purpose, and it
//! can lie about syncing, which is how a test finds out whether it would notice a store that does not sync.
//!
//! Calls block. Whoever is asynchronous makes them from a thread of its own or by `spawn_blocking`.

mod real;
mod sim;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use real::RealDisk;
pub use sim::Crash;
pub use sim::DiskFault;
pub use sim::Odds;
pub use sim::SimDisk;
pub use sim::SimProcess;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; it is an error if it exists.
    CreateNew,
}

/// A place where files are kept.
///
/// Paths are those of the operating system, also on a simulated disk.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a folder and those above it where they are missing, and makes their entries durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Opens a file. The entry of a new file is durable after [`Disk::sync_dir`] of its folder only.
    ///
    /// # Errors
    /// What the operating system says: [`io::ErrorKind::NotFound`], [`io::ErrorKind::AlreadyExists`] and others.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Returns the names of the files in `folder`, sorted.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Renames a file, replacing another one of that name; durable after [`Disk::sync_dir`] only.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; durable after [`Disk::sync_dir`] only.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of `folder` durable.
    ///
    /// # Errors
    /// What the operating system says; the entries may or may not be durable then.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// Takes the exclusive lock `path`, making the file if it is missing, without waiting. The lock goes with the
    /// returned guard, and with the process at the latest; the file stays.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when somebody else holds it; otherwise what the operating system says.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// An open file, read and written by position.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Reads into `buffer` from byte `offset` on and returns how many bytes were read; fewer than asked for at
    /// the end of the file only.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at byte `offset`.
    ///
    /// # Errors
    /// What the operating system says; any part of `bytes` may have been written then.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the data written so far durable (`fdatasync`).
    ///
    /// # Errors
    /// What the operating system says. The data is not durable then, **and a later sync that succeeds does not
    /// make it so**: the kernel may have marked the pages clean. It must be written again.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves the blocks of the first `length` bytes and makes the file that long at least.
    ///
    /// # Errors
    /// What the operating system says, [`io::ErrorKind::StorageFull`] when there is no room.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Writes zeros over the first `length` bytes.
    ///
    /// # Errors
    /// What the operating system says; any part may have been written then.
    fn write_zeros(&self, length: u64) -> io::Result<()> {
        const AT_ONCE: u64 = 256 << 10;
        let zeros = vec![0; length.min(AT_ONCE) as usize];
        let mut at = 0;
        while at < length {
            let count = (length - at).min(AT_ONCE);
            self.write_all_at(&zeros[..count as usize], at)?;
            at += count;
        }
        Ok(())
    }

    /// Cuts or extends the file to `length` bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn length(&self) -> io::Result<u64>;
}

/// An exclusive lock, given back when dropped.
pub trait DiskLock: Debug + Send + Sync + 'static {}
