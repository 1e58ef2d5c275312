//! How processes end, in words.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use super::signal::name_of;

/// How a process stands or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It was never started.
    NotStarted,
    /// It runs.
    Running,
    /// The run stopped it.
    Stopped,
    /// A fault killed it.
    Killed,
    /// It ended by itself; the text says how, such as `exited with 1` or `was killed by SIGSEGV`.
    Died(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("not started"),
            Self::Running => f.write_str("running"),
            Self::Stopped => f.write_str("stopped by the run"),
            Self::Killed => f.write_str("killed by fault"),
            Self::Died(how) => f.write_str(how),
        }
    }
}

/// A process that ended though nobody here ended it: a finding.
#[derive(Debug, Clone)]
pub struct Death {
    /// The process.
    pub process: String,
    /// How it ended, such as `exited with 1`.
    pub status: String,
    /// Whether it had been ready.
    pub was_ready: bool,
    /// The last lines it wrote, at most 20.
    pub output: Vec<String>,
    /// When it was seen.
    pub at: Instant,
}

pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was killed by {}", name_of(signal)),
        (None, None) => status.to_string(),
    }
}
