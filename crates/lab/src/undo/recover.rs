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

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::system::{Identity, MARKER_VARIABLE, Signal, set_stopped};
    use crate::undo::Undo;
    use crate::undo::record::{Begun, Record};

    /// A run whose owner is dead, with one process in a session of its own, stopped by a fault.
    struct DeadRun {
        state: StateDir,
        process: Child,
        identity: Identity,
    }

    impl DeadRun {
        fn new(folder: &Path, marker: &str, boot: String, damage: impl Fn(&mut Vec<u8>)) -> Self {
            let mut command = Command::new("sleep");
            command.arg("1000").env(MARKER_VARIABLE, marker).stdin(Stdio::null()).process_group(0);
            let process = command.spawn().expect("it can be started");
            let identity = Identity::of(process.id().cast_signed()).expect("it is not waited for");
            set_stopped(&[identity], true).expect("it is ours");

            let state = StateDir::at(&folder.join("state")).expect("it is ours");
            let owner = Identity { pid: identity.pid, start_time: identity.start_time - 1 };
            let log = folder.join("run.undo");
            let begun =
                Begun { run: "dead".into(), marker: marker.to_owned(), owner, boot, log: log.clone() };
            state.register(&begun).expect("it can be written");
            let undos = [Undo::Kill { leader: identity }, Undo::Resume { processes: vec![identity] }];
            let mut text = Record::Begun(begun).to_line();
            for (id, undo) in (1..).zip(undos) {
                text += &Record::Open { id, what: "fault".into(), undo }.to_line();
            }
            let mut text = text.into_bytes();
            damage(&mut text);
            if !text.is_empty() {
                std::fs::write(&log, text).expect("written");
            }
            Self { state, process, identity }
        }

        fn recover(&self) -> Recovered {
            let mut recovered = undo_all(&self.state).expect("it can be read");
            assert_eq!(recovered.len(), 1);
            assert!(recovered[0].is_clean(), "{recovered:?}");
            assert_eq!(list(&self.state).expect("it can be read"), vec![]);
            recovered.remove(0)
        }
    }

    impl Drop for DeadRun {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[test]
    fn what_is_open_is_undone_the_last_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let dead = DeadRun::new(folder.path(), "recover-a", boot_id(), |_| {});
        let left = list(&dead.state).expect("it can be read");
        assert!(left.len() == 1 && !left[0].live && left[0].open.len() == 3, "{left:?}");
        let settled = dead.recover().result.expect("it can be undone");
        assert!(settled[0].what.contains("continue") && settled[1].what.contains("kill"), "{settled:?}");
        assert!(!dead.identity.is_alive());
    }

    #[test]
    fn a_damaged_or_lost_log_leaves_no_process() {
        let damages: [fn(&mut Vec<u8>); 3] = [
            |text| text.truncate(text.len() - 3),
            |text| text.iter_mut().skip(200).for_each(|byte| *byte = b'x'),
            Vec::clear,
        ];
        for (n, damage) in damages.into_iter().enumerate() {
            let folder = tempfile::tempdir().expect("a folder");
            let dead = DeadRun::new(folder.path(), &format!("recover-b{n}"), boot_id(), damage);
            dead.recover();
            assert!(!dead.identity.is_alive(), "damage {n}");
        }
    }

    #[test]
    fn after_another_boot_the_pids_are_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let dead = DeadRun::new(folder.path(), "recover-c", "another".into(), |_| {});
        dead.recover();
        assert!(dead.identity.is_alive());
        Signal::Kill.send(dead.identity).expect("it is ours");
    }
}
