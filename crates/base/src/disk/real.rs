use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Disk, DiskFile, DiskLock, OpenMode};

/// How often allocating is tried that signals interrupt.
const ALLOCATE_MAX: u32 = 8;

/// The file system of the operating system.
///
/// # Examples
/// ```
/// use steadfast_base::disk::{Disk, OpenMode, RealDisk};
///
/// # fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let file = RealDisk.open(&folder.path().join("a"), OpenMode::CreateNew)?;
/// file.write_all_at(b"hello", 0)?;
/// file.sync_data()?;
/// RealDisk.sync_dir(folder.path())?;
/// assert_eq!(RealDisk.list(folder.path())?, ["a"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // Where it is there, who made it may have died before it was synced.
        let new = if path.is_dir() { 1 } else { usize::MAX };
        std::fs::create_dir_all(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                io::Error::new(io::ErrorKind::NotADirectory, "a file is there, and no folder")
            }
            _ => error,
        })?;
        // Every folder above may be new; syncing one that is not costs little and happens once.
        path.ancestors().skip(1).take(new).try_for_each(|above| {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match self.sync_dir(above) {
                // It is somebody else's, or on a file system that has nothing to sync.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied
                            | io::ErrorKind::InvalidInput
                            | io::ErrorKind::Unsupported
                    ) =>
                {
                    Ok(())
                }
                result => result,
            }
        })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read).create_new(mode == OpenMode::CreateNew);
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock(file))),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        for _ in 0..ALLOCATE_MAX {
            match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, length) {
                // A file system in memory gives up what it has done at a signal, such as that of a sampler.
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::OPNOTSUPP) => break,
                result => return Ok(result?),
            }
        }
        // Not every file system can reserve; the file grows as it is written then.
        if self.length()? < length { self.set_length(length) } else { Ok(()) }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// The lock is that of `flock`, which the kernel gives back when the last descriptor is closed.
#[derive(Debug)]
struct RealLock(#[allow(dead_code, reason = "holding the descriptor holds the lock")] File);

impl DiskLock for RealLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_at_a_time_and_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path).expect("free");
        assert_eq!(RealDisk.lock(&path).expect_err("held").kind(), io::ErrorKind::WouldBlock);
        drop(held);
        RealDisk.lock(&path).expect("free again");
    }

    #[test]
    fn zeros_replace_what_was_there_and_nothing_behind_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for length in [0, 1, 4095, 4096, 4097, (1 << 20) + 4096, (3 << 20) + 77] {
            let file =
                RealDisk.open(&folder.path().join(length.to_string()), OpenMode::CreateNew).expect("made");
            let before = vec![b'x'; length as usize + 5000];
            file.write_all_at(&before, 0).expect("written");
            file.write_zeros(length).expect("filled");
            // As before: at any place, from any memory.
            file.write_all_at(b"abc", length + 1).expect("written");
            let mut after = vec![9; before.len()];
            assert_eq!(file.read_at(&mut after, 0).expect("read"), before.len());
            assert!(after[..length as usize].iter().all(|byte| *byte == 0), "{length}");
            assert_eq!(&after[length as usize..][..5], b"xabcx", "{length}");
            assert!(after[length as usize + 5..].iter().all(|byte| *byte == b'x'), "{length}");
        }
    }

    #[test]
    fn a_read_past_the_end_is_short() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = RealDisk.open(&folder.path().join("a"), OpenMode::CreateNew).expect("made");
        file.write_all_at(b"abc", 0).expect("written");
        let mut buffer = [9; 8];
        assert_eq!(file.read_at(&mut buffer, 1).expect("read"), 2);
        assert_eq!(&buffer[..3], b"bc\x09");
        file.allocate(100).expect("allocated");
        assert_eq!(file.length().expect("known"), 100);
    }
}
