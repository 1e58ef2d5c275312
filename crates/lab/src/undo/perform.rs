//! Undoing by the records of a run that is dead.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use steadfast_fault::control::{Client, ClientError};
use steadfast_fault::{Lease, LeaseState};

use super::log::DeadLog;
use super::record::Begun;
use super::{Error, Undo};
use crate::system::{boot_id, extinguish, family_of, marked, set_stopped};

/// How long one try may take to kill processes.
const WITHIN: Duration = Duration::from_secs(5);

/// How long undoing is tried again.
const ALL_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait between two rounds.
const PAUSE: Duration = Duration::from_millis(50);

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
    if log.damaged_lines > 0 {
        tracing::warn!(run = begun.run, lines = log.damaged_lines, "the undo log has damaged lines");
    }
    let same_boot = begun.boot == boot_id();
    let deadline = Instant::now() + ALL_WITHIN;
    let mut settled = Vec::new();
    loop {
        // The last first; what fails may succeed once the others are undone, as with a target that was stopped.
        let open: Vec<_> = log.open.clone().into_iter().rev().collect();
        let last_round = Instant::now() >= deadline;
        for (id, (what, undo)) in open {
            let result =
                if same_boot { perform(&undo) } else { Ok("the machine was booted since".to_owned()) };
            match &result {
                Ok(how) => log.close(id, by, how)?,
                Err(_) if !last_round => continue,
                Err(_) => {}
            }
            settled.push(Settled { what: format!("{what}: {undo}"), result });
        }
        if log.open.is_empty() || last_round {
            break;
        }
        std::thread::sleep(PAUSE);
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

/// Tries to undo one thing and returns how it was seen that it is undone.
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
        Undo::Revoke { socket, prefix } => revoke(socket, prefix),
        Undo::Restart { .. } => Ok("not started again: the run it belongs to is dead".to_owned()),
    }
}

/// Takes back all leases whose ids begin with `prefix`.
fn revoke(socket: &Path, prefix: &str) -> Result<String, String> {
    let client = Client::new(socket).with_timeout(Duration::from_secs(1));
    let leases = client.list().unwrap_or_default();
    for lease in leases.iter().filter(|lease| is_active(lease, prefix)) {
        // Whatever the answer: what counts is what the list says next.
        let _ = client.revoke(&lease.id);
    }
    no_lease_is_active(&client, prefix)
}

/// Sees that the target holds no lease whose id begins with `prefix`. One that does not run holds none.
pub(crate) fn no_lease_is_active(client: &Client, prefix: &str) -> Result<String, String> {
    match client.list() {
        Ok(leases) => match leases.iter().find(|lease| is_active(lease, prefix)) {
            None => Ok("the target lists no active lease of it".to_owned()),
            Some(lease) => Err(format!("the target lists {} as active", lease.id)),
        },
        Err(ClientError::Unreachable { source, .. }) if nobody_listens(&source) => {
            Ok("the target does not run any more".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn is_active(lease: &Lease, prefix: &str) -> bool {
    lease.state == LeaseState::Active && lease.id.as_str().starts_with(prefix)
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
