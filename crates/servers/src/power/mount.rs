use std::path::Path;

use parking_lot::Mutex;
use steadfast_base::Seed;
use tempfile::TempDir;

use super::daemon::Daemon;
use super::stale;
use crate::Error;

/// What is left of the things that were not synced when power is lost, or whoever has written them dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    DropAll,
    /// Whatever the seed draws, page by page and name by name; some pages in part.
    Torn(Seed),
    /// All of them, as when a process dies and the machine goes on.
    KeepAll,
}

/// A file system in memory that forgets what was not synced, on command; see the [module](super).
///
/// Whoever was there before the cut can look at the files as they were, and gets an I/O error for everything else,
/// also after power is back. Dropping it unmounts it.
///
/// # Examples
/// In a file below `tests/`, for the file system is served by another process, which runs one of its tests:
/// ```no_run
/// use std::io::Write;
/// use steadfast_servers::power::{Cut, PowerCutFs};
///
/// #[test]
/// fn serves_files() {
///     steadfast_servers::power::serve_if_asked();
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut fs = PowerCutFs::mount("serves_files")?;
/// let path = fs.path().join("a");
/// let mut file = std::fs::File::create(&path)?;
/// file.write_all(b"synced")?;
/// file.sync_all()?;
/// file.write_all(b", forgotten")?;
///
/// fs.cut(Cut::DropAll)?;
/// assert!(file.sync_all().is_err());
/// fs.restore()?;
/// assert_eq!(std::fs::read(&path)?, b"synced");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PowerCutFs {
    // Dropped first: it unmounts.
    daemon: Mutex<Daemon>,
    folder: TempDir,
}

impl PowerCutFs {
    /// Mounts an empty file system in a temporary folder, and unmounts those that killed processes have left behind.
    ///
    /// `test` is the name of the test in this program that calls [`serve_if_asked`](super::serve_if_asked).
    ///
    /// # Errors
    /// [`Error::Mount`], where this process is not root, there is no `/dev/fuse`, or no such test.
    pub fn mount(test: &str) -> Result<Self, Error> {
        stale::unmount_all();
        let folder = tempfile::Builder::new().prefix("steadfast-power-").tempdir();
        let folder = folder.map_err(|source| Error::Mount { source })?;
        let daemon = Mutex::new(Daemon::start(test, folder.path())?);
        Ok(Self { daemon, folder })
    }

    /// Returns the folder that it is mounted at, the same after each cut. Everybody may look into it, and root write.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes everything durable that was written so far, as `sync` does: for what is set up before a test.
    ///
    /// # Errors
    /// [`Error::Mount`], when the process that serves it is gone.
    pub fn sync_all(&self) -> Result<(), Error> {
        self.daemon.lock().order("sync")
    }

    /// Takes syncing out, until the power is cut: a sync succeeds and does nothing.
    ///
    /// # Errors
    /// [`Error::Mount`], when the process that serves it is gone.
    pub fn lie_about_sync(&self) -> Result<(), Error> {
        self.daemon.lock().order("lie")
    }

    /// Cuts the power. From this moment on nothing can be changed or made durable; what is left is decided. It does
    /// nothing while the power is off.
    ///
    /// # Errors
    /// [`Error::Mount`], when the process that serves it is gone.
    pub fn cut(&mut self, cut: Cut) -> Result<(), Error> {
        match cut {
            Cut::DropAll => self.daemon.lock().order("drop"),
            Cut::Torn(seed) => self.daemon.lock().order(&format!("tear {seed}")),
            Cut::KeepAll => self.daemon.lock().order("keep"),
        }
    }

    /// Puts the power back: what is left is mounted at the same place. It does nothing while there is power.
    ///
    /// End whoever was there before: what they open from now on they find in the new one.
    ///
    /// # Errors
    /// [`Error::Mount`].
    pub fn restore(&mut self) -> Result<(), Error> {
        self.daemon.lock().order("restore")
    }

    #[cfg(test)]
    pub(super) fn kill_daemon(&self) {
        let mut daemon = self.daemon.lock();
        daemon.child.kill().and_then(|()| daemon.child.wait()).expect("killed");
    }
}
