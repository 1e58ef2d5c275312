use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::output::below;
use crate::undo;

/// Why a process could not be started, stopped or signalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command is empty.
    #[error("{name}: the command is empty; give the program and its arguments")]
    EmptyCommand {
        /// The process.
        name: String,
    },
    /// The program is nowhere.
    #[error("{name}: no program {program:?} in {}; build it, or name its folder with --bin-dir", list(.searched))]
    NoProgram {
        /// The process.
        name: String,
        /// What was looked for.
        program: String,
        /// Where.
        searched: Vec<PathBuf>,
    },
    /// Two processes have the same name.
    #[error("{name}: a process of this name is started already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The process runs already.
    #[error("{name} runs already")]
    Running {
        /// The process.
        name: String,
    },
    /// The process does not run.
    #[error("{name} does not run: {end}")]
    NotRunning {
        /// The process.
        name: String,
        /// How it ended.
        end: String,
    },
    /// The system is being stopped; nothing is started any more.
    #[error("{name}: the system is being stopped")]
    Closed {
        /// The process.
        name: String,
    },
    /// Something else answers where the process is to answer.
    #[error("{name}: something else listens at {url} already; stop it, or choose another port")]
    AddressInUse {
        /// The process.
        name: String,
        /// Where.
        url: String,
    },
    /// The kernel did not start the program.
    #[error("{name}: cannot start {}: {source}", .program.display())]
    Spawn {
        /// The process.
        name: String,
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process ended before it was ready.
    #[error("{name} {status} before it was ready{}", below(.output))]
    Exited {
        /// The process.
        name: String,
        /// How it ended, such as `exited with 1`.
        status: String,
        /// The last lines it wrote.
        output: Vec<String>,
    },
    /// The process was not ready in time. It still runs.
    #[error("{name} was not ready within {within:?}: {problem}{}", below(.output))]
    NotReady {
        /// The process.
        name: String,
        /// How long it had.
        within: Duration,
        /// What the last look showed.
        problem: String,
        /// The last lines it wrote.
        output: Vec<String>,
    },
    /// A signal could not be sent, or had no effect.
    #[error("{name}: {problem}")]
    Signal {
        /// The process.
        name: String,
        /// What went wrong.
        problem: String,
    },
    /// A file of the process cannot be read or written.
    #[error("{name}: {}: {source}", .path.display())]
    File {
        /// The process.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The undo log cannot be written; without it nothing is done.
    #[error(transparent)]
    Undo(#[from] undo::Error),
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(", ")
}
