//! What dead runs left on this host, and undoing it.

use super::log::read_open;
use super::perform::settle;
use super::{Error, StateDir};
use crate::system::{boot_id, marked};

pub use super::perform::Settled;

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The run.
    pub run: String,
    /// Its undo log.
    pub log: std::path::PathBuf,
    /// The pid of the `steadfast` that runs or ran it.
    pub pid: i32,
    /// Whether that `steadfast` still lives. Then nothing is left behind yet, and nothing of it is undone.
    pub live: bool,
    /// What is to be undone, in words.
    pub open: Vec<String>,
    /// How many lines of the undo log cannot be read; what they said is not in `open`.
    pub damaged_lines: usize,
}

/// What became of a run that had not ended.
#[derive(Debug)]
pub struct Recovered {
    /// The run.
    pub run: String,
    /// Each thing that was to be undone; empty if the run died with nothing to undo.
    pub result: Result<Vec<Settled>, Error>,
}

impl Recovered {
    /// Tells whether nothing of the run is left.
    pub fn is_clean(&self) -> bool {
        self.result.as_ref().is_ok_and(|settled| settled.iter().all(|one| one.result.is_ok()))
    }
}

/// Lists the runs that have not ended, those in progress among them.
///
/// # Errors
/// The state folder cannot be read.
pub fn list(state: &StateDir) -> Result<Vec<Leftover>, Error> {
    let boot = boot_id();
    let describe = |begun: super::record::Begun| {
        let same_boot = begun.boot == boot;
        let live = same_boot && begun.owner.is_alive();
        let (open, damaged_lines) = read_open(&begun.log)?;
        let mut open: Vec<_> = open.into_values().map(|(what, undo)| format!("{what}: {undo}")).collect();
        let unlogged = if live || !same_boot { 0 } else { marked(&begun.marker).len() };
        if unlogged > 0 {
            open.push(format!("{unlogged} process(es) with the run's marker"));
        }
        Ok(Leftover { run: begun.run, log: begun.log, pid: begun.owner.pid, live, open, damaged_lines })
    };
    state.registered()?.into_iter().map(|(_, begun)| describe(begun)).collect()
}

/// Undoes what dead runs left and says what became of each. Runs in progress are left alone.
///
/// # Errors
/// The state folder cannot be read. What fails for one run is in its [`Recovered::result`].
pub fn undo_all(state: &StateDir) -> Result<Vec<Recovered>, Error> {
    let boot = boot_id();
    let dead = |begun: &super::record::Begun| begun.boot != boot || !begun.owner.is_alive();
    let registered = state.registered()?.into_iter().filter(|(_, begun)| dead(begun));
    Ok(registered
        .map(|(registration, begun)| Recovered {
            result: settle(&begun, &registration, "recover"),
            run: begun.run,
        })
        .collect())
}
