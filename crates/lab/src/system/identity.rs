//! Which process is meant: a pid alone is reused by the kernel, a pid with its start time is not.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

/// A process, told apart from any other that had or will have its pid since the machine was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

impl Identity {
    /// Returns the identity of the process that has `pid` now, none if there is no such process.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::read(pid).map(|stat| stat.identity)
    }

    /// Returns the identity of this process.
    ///
    /// # Panics
    /// `/proc` is not mounted.
    pub fn own() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self::of(pid).expect("a process is in /proc while it runs")
    }

    /// Tells whether the process still runs; one that has ended and was not waited for does not.
    pub fn is_alive(self) -> bool {
        self.stat().is_some_and(|stat| stat.is_alive())
    }

    /// Tells whether the process is stopped by a signal.
    pub fn is_stopped(self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'T')
    }

    /// Tells whether the process cannot run: it is stopped, or waits in the kernel where no signal reaches it.
    pub(crate) fn is_held(self) -> bool {
        self.stat().is_some_and(|stat| matches!(stat.state, 'T' | 'D'))
    }

    fn stat(self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.identity == self)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)
    }
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) identity: Identity,
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
}

impl Stat {
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads all processes that this user may see; those that come or go meanwhile may be missing.
    pub(crate) fn read_all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::read).collect()
    }

    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    fn parse(pid: i32, text: &str) -> Option<Self> {
        // The command's name stands in parentheses and may itself hold parentheses and spaces.
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let start_time = fields.nth(15)?.parse().ok()?;
        Some(Self { identity: Identity { pid, start_time }, state, parent, group, session })
    }
}

/// Returns what distinguishes this boot of the machine, and this space of pids, from any other: within it a pid with
/// its start time means one process.
pub(crate) fn boot_id() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) b (c)) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 99 1";
        let stat = Stat::parse(42, text).expect("it is well formed");
        let identity = Identity { pid: 42, start_time: 123_456 };
        assert_eq!(stat, Stat { identity, state: 'S', parent: 7, group: 8, session: 9 });
    }

    #[test]
    fn another_start_time_is_another_process() {
        let own = Identity::own();
        assert!(own.is_alive());
        assert!(!Identity { start_time: own.start_time + 1, ..own }.is_alive());
    }
}
