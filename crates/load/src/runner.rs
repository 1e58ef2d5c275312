//! Tasks that run one arrival after the other. A task per arrival would be the plain way, but at the highest rates
//! a tenth of the time went into its allocation, for which it is too large for the allocator's fast path.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::arrival;
use crate::worker::Worker;

/// The tasks of one worker. There are as many as arrivals were in flight at once.
pub(crate) struct Runners {
    /// Arrivals handed to tasks that rest. Never more than those.
    handed: Mutex<VecDeque<(u64, Duration)>>,
    /// One permit for each arrival in `handed`.
    wake: Semaphore,
    /// Tasks that rest and to which nothing was handed.
    free: AtomicUsize,
}

impl Default for Runners {
    fn default() -> Self {
        Self { handed: Mutex::default(), wake: Semaphore::new(0), free: AtomicUsize::new(0) }
    }
}

impl Runners {
    /// Starts an arrival at once: on a task that rests, or else on a new one.
    pub(crate) fn start(&self, worker: &Arc<Worker>, sequence: u64, intended: Duration) {
        let claimed = self.free.try_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        if claimed.is_ok() {
            self.handed.lock().push_back((sequence, intended));
            self.wake.add_permits(1);
        } else {
            tokio::spawn(Self::run(worker.clone(), (sequence, intended)));
        }
    }

    /// Takes the arrivals that were handed over and not begun.
    pub(crate) fn unstarted(&self) -> VecDeque<(u64, Duration)> {
        std::mem::take(&mut self.handed.lock())
    }

    async fn run(worker: Arc<Worker>, first: (u64, Duration)) {
        let mut next = Some(first);
        loop {
            if let Some((sequence, intended)) = next {
                arrival::run(worker.clone(), sequence, intended).await;
                worker.runners.free.fetch_add(1, Ordering::AcqRel);
            }
            match worker.runners.wake.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return,
            }
            next = worker.runners.handed.lock().pop_front();
        }
    }
}
