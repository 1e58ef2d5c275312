//! Signals, sent to the process that is meant and no other.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::Identity;

/// A signal that a run may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// SIGKILL: ends the process at once.
    Kill,
    /// SIGTERM: asks the process to end.
    Term,
    /// SIGINT: what Ctrl-C sends.
    Int,
    /// SIGQUIT: asks the process to end and to leave a core file.
    Quit,
    /// SIGABRT: what a failed assertion raises.
    Abrt,
    /// SIGHUP: the terminal is gone, or read the configuration again.
    Hup,
    /// SIGUSR1: what the program makes of it.
    Usr1,
    /// SIGUSR2: what the program makes of it.
    Usr2,
    /// SIGSTOP: stops the process until SIGCONT.
    Stop,
    /// SIGCONT: lets a stopped process go on.
    Cont,
}

const NAMES: [(Signal, &str, rustix::process::Signal); 10] = [
    (Signal::Kill, "SIGKILL", rustix::process::Signal::KILL),
    (Signal::Term, "SIGTERM", rustix::process::Signal::TERM),
    (Signal::Int, "SIGINT", rustix::process::Signal::INT),
    (Signal::Quit, "SIGQUIT", rustix::process::Signal::QUIT),
    (Signal::Abrt, "SIGABRT", rustix::process::Signal::ABORT),
    (Signal::Hup, "SIGHUP", rustix::process::Signal::HUP),
    (Signal::Usr1, "SIGUSR1", rustix::process::Signal::USR1),
    (Signal::Usr2, "SIGUSR2", rustix::process::Signal::USR2),
    (Signal::Stop, "SIGSTOP", rustix::process::Signal::STOP),
    (Signal::Cont, "SIGCONT", rustix::process::Signal::CONT),
];

impl Signal {
    /// Sends this signal to `to` and tells whether that process was there to get it.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn send(self, to: Identity) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(to.pid) else { return Ok(false) };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // IMPORTANT: the identity is compared after the pidfd is open. From then on the pidfd means one process for
        // ever; compared before, the pid could pass to another process in between.
        if Identity::of(to.pid) != Some(to) {
            return Ok(false);
        }
        match pidfd_send_signal(&process, self.row().2) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the signal's number.
    pub fn number(self) -> i32 {
        self.row().2.as_raw()
    }

    fn row(self) -> &'static (Signal, &'static str, rustix::process::Signal) {
        NAMES.iter().find(|row| row.0 == self).expect("every signal has its row")
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

/// The text is not the name of a signal that a run may send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown signal {0:?}: use one of SIGKILL, SIGTERM, SIGINT, SIGQUIT, SIGABRT, SIGHUP, SIGUSR1, SIGUSR2"
)]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = NAMES.iter().find(|row| row.1 == text || row.1.strip_prefix("SIG") == Some(text));
        found.map(|row| row.0).ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}

/// Names the signal of that number as an operator knows it.
pub(crate) fn name_of(number: i32) -> String {
    let known = NAMES.iter().find(|row| row.2.as_raw() == number).map(|row| row.1);
    let known = known.or(match number {
        libc::SIGSEGV => Some("SIGSEGV"),
        libc::SIGBUS => Some("SIGBUS"),
        libc::SIGILL => Some("SIGILL"),
        libc::SIGPIPE => Some("SIGPIPE"),
        libc::SIGALRM => Some("SIGALRM"),
        _ => None,
    });
    known.map_or_else(|| format!("signal {number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_prefix() {
        assert_eq!("SIGKILL".parse(), Ok(Signal::Kill));
        assert_eq!("TERM".parse(), Ok(Signal::Term));
        assert!("SIGNOPE".parse::<Signal>().is_err());
    }

    #[test]
    fn another_process_with_the_same_pid_gets_nothing() {
        let own = Identity::own();
        let stale = Identity { start_time: own.start_time.wrapping_sub(1), ..own };
        // It would end this test.
        assert!(!Signal::Kill.send(stale).expect("looking is permitted"));
    }
}
