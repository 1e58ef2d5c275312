//! The folder in which all runs of a user on a host find each other.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::Error;
use super::record::{self, Begun, Record};

/// The variable that names another state folder than `$XDG_RUNTIME_DIR/steadfast` or `/tmp/steadfast-UID`.
pub const STATE_DIR_VARIABLE: &str = "STEADFAST_STATE_DIR";

/// The state folder: which runs have not ended, and which targets are in use. Only its owner may look into it.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens the folder that `STEADFAST_STATE_DIR` names, else `$XDG_RUNTIME_DIR/steadfast`, else
    /// `/tmp/steadfast-UID`; makes it if it is missing.
    ///
    /// # Errors
    /// It cannot be made, or somebody else could write to it.
    pub fn open() -> Result<Self, Error> {
        let named =
            |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = named(STATE_DIR_VARIABLE)
            .or_else(|| named("XDG_RUNTIME_DIR").map(|runtime| runtime.join("steadfast")))
            .unwrap_or_else(|| format!("/tmp/steadfast-{}", rustix::process::geteuid().as_raw()).into());
        Self::at(&path)
    }

    /// Opens the folder at `path`; makes it if it is missing.
    ///
    /// # Errors
    /// It cannot be made, or somebody else could write to it.
    pub fn at(path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(Error::file("finding", path))?;
        let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make(&path).map_err(Error::file("making", &path))?;
        let unsafe_for = |problem| Error::UnsafeStateDir { path: path.clone(), problem };
        let about = fs::symlink_metadata(&path).map_err(Error::file("reading", &path))?;
        if !about.is_dir() {
            return Err(unsafe_for("is not a folder"));
        }
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(unsafe_for("belongs to another user"));
        }
        if about.mode() & 0o022 != 0 {
            return Err(unsafe_for("can be written to by others"));
        }
        for part in ["runs", "locks", "sockets"] {
            make(&path.join(part)).map_err(Error::file("making", &path))?;
        }
        Ok(Self { path })
    }

    /// Returns where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a path for the control socket of `process` in `run`, short enough for a socket's address wherever
    /// the run's folder is.
    pub fn socket(&self, run: &str, process: &str) -> PathBuf {
        let hash = |text: &str| {
            text.bytes()
                .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
        };
        self.path.join("sockets").join(format!("{:016x}", hash(&format!("{run}\0{process}"))))
    }

    pub(crate) fn lock_file(&self, target: &str) -> PathBuf {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        self.path.join("locks").join(format!("{}.lock", target.chars().map(safe).collect::<String>()))
    }

    /// Registers a run; on return the registration is on disk.
    pub(crate) fn register(&self, begun: &Begun) -> Result<PathBuf, Error> {
        let path = self.path.join("runs").join(&begun.marker);
        let temporary = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(Record::Begun(begun.clone()).to_line().as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(self.path.join("runs"))?.sync_all()
        };
        write().map_err(Error::file("registering the run in", &path))?;
        Ok(path)
    }

    /// Returns the registrations of all runs that have not ended; one that cannot be read is left out.
    pub(crate) fn registered(&self) -> Result<Vec<(PathBuf, Begun)>, Error> {
        let folder = self.path.join("runs");
        let entries = fs::read_dir(&folder).map_err(Error::file("reading", &folder))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let read = |path: PathBuf| read_registration(&path).map(|begun| (path, begun));
        let mut found: Vec<_> = paths.filter(|path| path.extension().is_none()).filter_map(read).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

pub(crate) fn read_registration(path: &Path) -> Option<Begun> {
    match record::parse(&fs::read(path).ok()?).0.into_iter().next() {
        Some(Record::Begun(begun)) => Some(begun),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let state = StateDir::at(&path).expect("it is made");
        assert_eq!(fs::metadata(state.path()).expect("it is there").mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert!(matches!(StateDir::at(&path), Err(Error::UnsafeStateDir { .. })));
    }

    #[test]
    fn socket_names_are_short_and_distinct() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::at(folder.path()).expect("it is ours");
        assert_ne!(state.socket("run", "a"), state.socket("run", "b"));
        let added =
            state.socket(&"r".repeat(300), "orders").as_os_str().len() - state.path().as_os_str().len();
        assert_eq!(added, "/sockets/".len() + 16);
    }
}
