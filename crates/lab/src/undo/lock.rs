//! One run per target at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};

use serde::{Deserialize, Serialize};

use super::{Error, StateDir};

/// A target that is held for one run until this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    run: String,
    pid: i32,
}

impl RunLock {
    /// Takes `target` for `run`: the name of what is acted on, `host` for systems that are started here.
    ///
    /// # Errors
    /// [`Error::Busy`] names the run that has it; [`Error::File`] if the lock cannot be written.
    pub fn acquire(state: &StateDir, target: &str, run: &str) -> Result<Self, Error> {
        let path = state.lock_file(target);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::file("opening", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder =
                    file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
                let Holder { run, pid } = holder.unwrap_or(Holder { run: "unknown".to_owned(), pid: 0 });
                return Err(Error::Busy { target: target.to_owned(), run, pid });
            }
            Err(TryLockError::Error(error)) => return Err(Error::file("locking", &path)(error)),
        }
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let holder = Holder { run: run.to_owned(), pid };
        let text = serde_json::to_string(&holder).expect("two plain fields");
        let mut write = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write().map_err(Error::file("writing", &path))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_learns_who_has_the_target() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::at(folder.path()).expect("it is ours");
        let first = RunLock::acquire(&state, "host", "first").expect("it is free");
        let error = RunLock::acquire(&state, "host", "second").expect_err("it is taken");
        let own = rustix::process::getpid().as_raw_nonzero().get();
        assert!(matches!(&error, Error::Busy { run, pid, .. } if run == "first" && *pid == own), "{error}");
        RunLock::acquire(&state, "other", "second").expect("another target is free");
        drop(first);
        RunLock::acquire(&state, "host", "second").expect("it is free again");
    }
}
