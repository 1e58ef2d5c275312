use std::io;
use std::path::{Path, PathBuf};

/// Why something about undoing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{doing} {}: {source}; see that the folder exists, is writable and has room", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The state folder belongs to somebody else or others may write to it.
    #[error("{}: {problem}; set STEADFAST_STATE_DIR to a folder that only you can write to", .path.display())]
    UnsafeStateDir {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Another run has the target. A later try can succeed.
    #[error("{target} is in use by run {run} (pid {pid}); wait for it to end or stop it")]
    Busy {
        /// What is locked.
        target: String,
        /// The holder's run, or `unknown`.
        run: String,
        /// The holder's pid, 0 if unknown.
        pid: i32,
    },
    /// Somebody else is undoing the same run. A later try can succeed.
    #[error("another process is undoing run {run}; try again when it is done")]
    BeingUndone {
        /// The run.
        run: String,
    },
    /// The watchdog did not start.
    #[error("the watchdog did not start: {problem}; nothing was injected")]
    Watchdog {
        /// Why.
        problem: String,
    },
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
