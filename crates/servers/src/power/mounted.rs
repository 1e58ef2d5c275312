use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use parking_lot::Mutex;
use rustix::mount::{UnmountFlags, unmount};

use super::Cut;
use super::serve::Served;
use super::stale;
use super::volume::Volume;

/// The file system, in the process that serves it.
pub(super) struct Mounted {
    path: PathBuf,
    volume: Arc<Mutex<Volume>>,
    /// What is left, from the loss of power until it is back.
    survivor: Option<Volume>,
    session: Option<BackgroundSession>,
}

impl Mounted {
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        let volume = Arc::new(Mutex::new(Volume::new()));
        let mut mounted = Self { path, volume, survivor: None, session: None };
        mounted.serve()?;
        Ok(mounted)
    }

    pub(super) fn sync_all(&self) {
        self.volume.lock().sync_all();
    }

    pub(super) fn lie_about_sync(&self) {
        self.volume.lock().sync_is_a_lie = true;
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        let mut volume = self.volume.lock();
        if volume.dead {
            return;
        }
        volume.dead = true;
        self.survivor = Some(match cut {
            Cut::DropAll => volume.survivor(None),
            Cut::Torn(seed) => volume.survivor(Some(&mut seed.rng())),
            Cut::KeepAll => {
                volume.sync_all();
                volume.survivor(None)
            }
        });
    }

    pub(super) fn restore(&mut self) -> io::Result<()> {
        let Some(survivor) = self.survivor.take() else { return Ok(()) };
        self.detach();
        self.volume = Arc::new(Mutex::new(survivor));
        self.serve()
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(stale::source()), MountOption::DefaultPermissions];
        // A server may run as another user.
        config.acl = SessionACL::All;
        let served = Served::new(Arc::clone(&self.volume));
        self.session = Some(fuser::spawn_mount(served, &self.path, &config)?);
        Ok(())
    }

    /// Takes it out of the tree of folders. It is there for those who have something open in it, until they close it.
    fn detach(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = unmount(&self.path, UnmountFlags::DETACH);
            drop(session);
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.detach();
        let _ = std::fs::remove_dir(&self.path);
    }
}
