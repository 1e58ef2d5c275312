//! A process with all that it brought forth.
//!
//! Every process of a system is started as the leader of a session of its own, with a marker in its environment.
//! Descendants inherit both. One that leaves the session (a daemon) still has the marker; one that overwrites its
//! environment (nginx does, to show a title) is still in the session. Only a process that does both escapes.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::identity::Stat;
use super::{Identity, Signal};

/// The variable that holds the marker of the run in the environment of each process of a system.
pub const MARKER_VARIABLE: &str = "STEADFAST_RUN";

/// Returns the live processes of the session and group that `leader` founded, also after its death.
pub(crate) fn of_leader(leader: Identity) -> Vec<Identity> {
    let all = Stat::read_all();
    // The kernel gives no pid to a new process while a session or group of that number exists: if another process
    // has the leader's pid, nothing of its family is left, and a session of that number is somebody else's.
    let replaced = all.iter().any(|stat| stat.identity.pid == leader.pid && stat.identity != leader);
    if replaced {
        return Vec::new();
    }
    let belongs = |stat: &&Stat| {
        (stat.session == leader.pid || stat.group == leader.pid)
            && stat.identity.start_time >= leader.start_time
            && stat.is_alive()
    };
    all.iter().filter(belongs).map(|stat| stat.identity).collect()
}

/// Returns the live children of `leader`, the oldest first.
pub(crate) fn children_of(leader: Identity) -> Vec<Identity> {
    let mut children: Vec<Identity> = Stat::read_all()
        .iter()
        .filter(|stat| stat.parent == leader.pid && stat.is_alive())
        .map(|stat| stat.identity)
        .collect();
    children.sort_by_key(|child| (child.start_time, child.pid));
    children
}

/// Returns the live processes, but this one, whose environment holds `marker`.
pub(crate) fn marked(marker: &str) -> Vec<Identity> {
    let wanted = format!("{MARKER_VARIABLE}={marker}");
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let has_marker = |pid: i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|v| v == wanted.as_bytes()))
    };
    Stat::read_all()
        .iter()
        .filter(|stat| stat.identity.pid != own && stat.is_alive() && has_marker(stat.identity.pid))
        .map(|stat| stat.identity)
        .collect()
}

/// Some processes outlived SIGKILL for as long as was waited, or may not be killed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} process(es) still run after SIGKILL, first {}: {problem}", .left.len(), .left[0])]
pub(crate) struct Survivors {
    pub(crate) left: Vec<Identity>,
    pub(crate) problem: String,
}

/// Kills what `find` finds until it finds nothing, for at most `within`, and returns how many it killed.
pub(crate) fn extinguish(within: Duration, find: impl Fn() -> Vec<Identity>) -> Result<usize, Survivors> {
    let deadline = Instant::now() + within;
    let mut killed = std::collections::HashSet::new();
    let mut pause = Duration::from_millis(2);
    loop {
        let left = find();
        if left.is_empty() {
            return Ok(killed.len());
        }
        let mut problem = format!("waited {within:?}");
        for process in &left {
            match Signal::Kill.send(*process) {
                Ok(_) => drop(killed.insert(*process)),
                Err(error) => problem = error.to_string(),
            }
        }
        if Instant::now() >= deadline {
            return Err(Survivors { left, problem });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Stops or continues all `processes` and waits until `/proc` shows it, for at most a second.
///
/// # Errors
/// A signal is not permitted, or a process is not in the wanted state in time. Processes that are gone are neither.
pub(crate) fn set_stopped(processes: &[Identity], stopped: bool) -> io::Result<()> {
    let signal = if stopped { Signal::Stop } else { Signal::Cont };
    for process in processes {
        signal.send(*process)?;
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut late: Vec<Identity> = processes.to_vec();
    loop {
        late.retain(|process| process.is_alive() && process.is_stopped() != stopped);
        if late.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            // One that waits in the kernel, as for a child that was stopped between vfork and exec, cannot take the
            // signal; neither can it run.
            return match late.iter().find(|process| !(stopped && process.is_held())) {
                None => Ok(()),
                Some(process) => {
                    let wanted = if stopped { "stopped" } else { "running" };
                    Err(io::Error::other(format!("{process} is not {wanted} a second after {signal}")))
                }
            };
        }
        thread::sleep(Duration::from_millis(2));
    }
}
