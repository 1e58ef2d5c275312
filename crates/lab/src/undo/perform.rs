//! Undoing by the records of a run that is dead.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use steadfast_fault::control::{Client, ClientError};
use steadfast_fault::{LeaseId, LeaseState};

use super::log::DeadLog;
use super::record::Begun;
use super::{Error, Undo};
use crate::system::{boot_id, extinguish, family_of, marked, set_stopped};

/// How long one thing may take to be undone.
const WITHIN: Duration = Duration::from_secs(5);

/// How long to wait for somebody else who undoes the same run.
const HELD: Duration = Duration::from_secs(15);

/// What became of one thing that was to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What had been done.
    pub what: String,
    /// How it was seen that it is undone, or why it is not.
    pub result: Result<String, String>,
}

/// Undoes all that is open in the log of `begun`, kills all that carries its marker, and ends the log if nothing is
/// left.
pub(super) fn settle(begun: &Begun, registration: &Path, by: &str) -> Result<Vec<Settled>, Error> {
    let mut log = hold(begun)?;
    let mut settled = Vec::new();
    if log.damaged_lines > 0 {
        tracing::warn!(run = begun.run, lines = log.damaged_lines, "the undo log has damaged lines");
    }
    let same_boot = begun.boot == boot_id();
    let open: Vec<_> = log.open.clone().into_iter().rev().collect();
    for (id, (what, undo)) in open {
        let result = if same_boot { perform(&undo) } else { Ok("the machine was booted since".to_owned()) };
        if let Ok(how) = &result {
            log.close(id, by, how)?;
        }
        settled.push(Settled { what: format!("{what}: {undo}"), result });
    }
    if same_boot {
        match extinguish(WITHIN, || marked(&begun.marker)) {
            Ok(0) => {}
            Ok(killed) => settled.push(Settled {
                what: format!("{killed} process(es) of the run that were not in the log"),
                result: Ok("killed, none is left".to_owned()),
            }),
            Err(survivors) => settled.push(Settled {
                what: "processes of the run".to_owned(),
                result: Err(survivors.to_string()),
            }),
        }
    }
    if settled.iter().all(|one| one.result.is_ok()) {
        log.end(by, registration)?;
    }
    Ok(settled)
}

fn hold(begun: &Begun) -> Result<DeadLog, Error> {
    let deadline = Instant::now() + HELD;
    loop {
        match DeadLog::hold(begun) {
            Err(Error::BeingUndone { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

/// Undoes one thing and returns how it was seen that it is undone.
fn perform(undo: &Undo) -> Result<String, String> {
    match undo {
        Undo::Kill { leader } => {
            extinguish(WITHIN, || family_of(*leader))
                .map(|killed| {
                    if killed == 0 {
                        "none was left".into()
                    } else {
                        format!("{killed} killed, none is left")
                    }
                })
                .map_err(|survivors| survivors.to_string())
        }
        Undo::Resume { processes } => set_stopped(processes, false)
            .map(|()| "none is stopped".to_owned())
            .map_err(|error| error.to_string()),
        Undo::Revoke { socket, lease } => revoke(socket, lease),
        Undo::Restart { .. } => Ok("not started again: the run it belongs to is dead".to_owned()),
    }
}

/// Takes a lease back and sees that it is not active any more. A target that cannot be reached because it is gone
/// holds no lease.
pub(crate) fn revoke(socket: &Path, lease: &str) -> Result<String, String> {
    let client = Client::new(socket).with_timeout(Duration::from_secs(1));
    let id: LeaseId = lease.parse().map_err(|error| format!("{lease:?}: {error}"))?;
    let deadline = Instant::now() + WITHIN;
    loop {
        // Whatever the answer: what counts is what the list says next.
        let _ = client.revoke(&id);
        let problem = match client.list() {
            Ok(leases) => {
                match leases.iter().find(|lease| lease.id == id && lease.state == LeaseState::Active) {
                    None => return Ok("the target does not list it as active".to_owned()),
                    Some(_) => format!("the target still lists {id} as active"),
                }
            }
            Err(ClientError::Unreachable { source, .. }) if nobody_listens(&source) => {
                return Ok("the target does not run any more".to_owned());
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(problem);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
