use std::path::PathBuf;

/// Why a server is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program is nowhere to be found.
    #[error("`{program}` is missing: run `cargo xtask test`, which obtains it, or {mend}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What to do by hand.
        mend: &'static str,
    },
    /// It could not be started, or its folder not made.
    #[error("starting `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It ended, or did not become ready in time.
    #[error("`{program}` {problem}; the end of {}:\n{tail}", log.display())]
    NotReady {
        /// The program.
        program: String,
        /// What happened.
        problem: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A file system in user space could not be mounted.
    #[error("mounting a file system in user space, which needs root and /dev/fuse: {source}")]
    Mount {
        /// What the operating system said.
        source: std::io::Error,
    },
}
