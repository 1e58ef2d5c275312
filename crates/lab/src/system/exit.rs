//! The end of a process, awaited by threads and by tasks.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

/// The exit status of one process: unset, then set once.
#[derive(Debug, Default)]
pub(super) struct Exit {
    status: Mutex<Option<ExitStatus>>,
    condition: Condvar,
    notify: Notify,
}

impl Exit {
    pub(super) fn get(&self) -> Option<ExitStatus> {
        *self.status.lock()
    }

    pub(super) fn set(&self, status: ExitStatus) {
        *self.status.lock() = Some(status);
        self.condition.notify_all();
        self.notify.notify_waiters();
    }

    /// Waits for at most `within`.
    pub(super) fn wait(&self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        let mut status = self.status.lock();
        while status.is_none() && !self.condition.wait_until(&mut status, deadline).timed_out() {}
        *status
    }

    /// Completes when the process has ended.
    pub(super) async fn ended(&self) -> ExitStatus {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            // Registered before looking: an end between looking and waiting is not missed.
            notified.as_mut().enable();
            if let Some(status) = self.get() {
                return status;
            }
            notified.await;
        }
    }
}
