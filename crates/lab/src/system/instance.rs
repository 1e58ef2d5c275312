//! A process between one start and its end, and what is known of it beyond that.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::end::describe;
use super::exit::Exit;
use super::output::last_lines;
use super::set::Shared;
use super::{Death, End, Identity, ProcessConfig, Signal};
use crate::undo::Opened;

/// What all handles of a process share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: ProcessConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) log: PathBuf,
    pub(super) url: watch::Sender<Option<String>>,
    pub(super) state: Mutex<State>,
    /// Held while the process is started or ended.
    pub(super) operation: Mutex<()>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) instance: Option<Arc<Instance>>,
    pub(super) starts: u32,
    pub(super) end: End,
}

/// The process between one start and its end.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) identity: Identity,
    pub(super) opened: Opened,
    pub(super) log_from: u64,
    pub(super) ready: AtomicBool,
    pub(super) expected: Mutex<Option<Expected>>,
    pub(super) exit: Exit,
    pub(super) waiter: Mutex<Option<JoinHandle<()>>>,
}

/// Who is about to end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Stop,
    Kill(Signal),
}

impl Inner {
    pub(super) fn ended(&self, instance: &Instance, status: ExitStatus) {
        let end = match *instance.expected.lock() {
            Some(Expected::Stop) => End::Stopped,
            // SIGKILL leaves no doubt who was faster; other signals may be answered by any way to end.
            Some(Expected::Kill(Signal::Kill)) if status.signal() != Some(Signal::Kill.number()) => {
                End::Died(describe(status))
            }
            Some(Expected::Kill(_)) => End::Killed,
            None => End::Died(describe(status)),
        };
        self.state.lock().end = end.clone();
        let End::Died(status) = end else { return };
        let death = Death {
            process: self.config.name.clone(),
            status,
            was_ready: instance.ready.load(Ordering::Acquire),
            output: last_lines(&self.log, instance.log_from),
            at: Instant::now(),
        };
        tracing::warn!(process = death.process, status = death.status, "a process ended by itself");
        // Nobody may listen any more; the end is in the state too.
        let _ = self.shared.deaths.send(death);
    }
}
