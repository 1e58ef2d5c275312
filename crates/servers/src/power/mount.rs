use std::io;
use std::path::Path;
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use parking_lot::Mutex;
use rustix::mount::{UnmountFlags, unmount};
use steadfast_base::Seed;
use tempfile::TempDir;

use super::serve::Served;
use super::stale;
use super::volume::Volume;
use crate::Error;

/// What is left of the things that were not synced when power is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    DropAll,
    /// Whatever the seed draws, page by page and name by name; some pages in part.
    Torn(Seed),
}

/// A file system in memory that forgets what was not synced, on command; see the [module](super).
///
/// Whoever was there before the cut can look at the files as they were, and gets an I/O error for everything else,
/// also after power is back. Dropping it unmounts it.
///
/// # Examples
/// ```no_run
/// use std::io::Write;
/// use steadfast_servers::power::{Cut, PowerCutFs};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut fs = PowerCutFs::mount()?;
/// let path = fs.path().join("a");
/// let mut file = std::fs::File::create(&path)?;
/// file.write_all(b"synced")?;
/// file.sync_all()?;
/// file.write_all(b", forgotten")?;
///
/// fs.cut(Cut::DropAll);
/// assert!(file.sync_all().is_err());
/// fs.restore()?;
/// assert_eq!(std::fs::read(&path)?, b"synced");
/// # Ok(()) }
/// ```
pub struct PowerCutFs {
    volume: Arc<Mutex<Volume>>,
    /// What is left, from the loss of power until it is back.
    survivor: Option<Volume>,
    session: Option<BackgroundSession>,
    folder: TempDir,
}

impl PowerCutFs {
    /// Mounts an empty file system in a temporary folder, and unmounts those that killed processes have left behind.
    ///
    /// # Errors
    /// [`Error::Mount`], where this process is not root, or there is no `/dev/fuse`.
    pub fn mount() -> Result<Self, Error> {
        stale::unmount_all();
        let folder = tempfile::Builder::new().prefix("steadfast-power-").tempdir().map_err(failed)?;
        let volume = Arc::new(Mutex::new(Volume::new()));
        let mut fs = Self { volume, survivor: None, session: None, folder };
        fs.serve()?;
        Ok(fs)
    }

    /// Returns the folder that it is mounted at, the same after each cut. Everybody may look into it, and root write.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes everything durable that was written so far, as `sync` does: for what is set up before a test.
    pub fn sync_all(&self) {
        self.volume.lock().sync_all();
    }

    /// Cuts the power. From this moment on nothing can be changed or made durable; what is left is decided. It does
    /// nothing while the power is off.
    pub fn cut(&mut self, cut: Cut) {
        let mut volume = self.volume.lock();
        if volume.dead {
            return;
        }
        volume.dead = true;
        self.survivor = Some(match cut {
            Cut::DropAll => volume.survivor(None),
            Cut::Torn(seed) => volume.survivor(Some(&mut seed.rng())),
        });
    }

    /// Puts the power back: what is left is mounted at the same place. It does nothing while there is power.
    ///
    /// End whoever was there before: what they open from now on they find in the new one.
    ///
    /// # Errors
    /// [`Error::Mount`].
    pub fn restore(&mut self) -> Result<(), Error> {
        let Some(survivor) = self.survivor.take() else { return Ok(()) };
        self.detach();
        self.volume = Arc::new(Mutex::new(survivor));
        self.serve()
    }

    fn serve(&mut self) -> Result<(), Error> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(stale::source()), MountOption::DefaultPermissions];
        // A server may run as another user.
        config.acl = SessionACL::All;
        let served = Served::new(Arc::clone(&self.volume));
        self.session = Some(fuser::spawn_mount(served, self.path(), &config).map_err(failed)?);
        Ok(())
    }

    /// Takes it out of the tree of folders. It is there for those who have something open in it, until they close it.
    fn detach(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = unmount(self.path(), UnmountFlags::DETACH);
            drop(session);
        }
    }
}

impl Drop for PowerCutFs {
    fn drop(&mut self) {
        self.detach();
    }
}

impl std::fmt::Debug for PowerCutFs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PowerCutFs").field("path", &self.path()).finish_non_exhaustive()
    }
}

fn failed(source: io::Error) -> Error {
    Error::Mount { source }
}
