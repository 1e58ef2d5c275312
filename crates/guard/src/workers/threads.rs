//! The threads that run CPU-bound jobs: started as they are needed, ended when they are not.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Condvar;

use super::Grant;
use super::handle::{Shared, Start};

/// How long a thread waits for a job before it ends.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Jobs that were admitted, and the threads that take them.
///
/// The thread that was busy last goes first: an allocator keeps memory for each thread, and what one job has left
/// behind the next one is to use.
#[derive(Default)]
pub(super) struct Threads {
    ready: VecDeque<(Start, Grant)>,
    /// How many jobs of threads were admitted and have not ended.
    busy: usize,
    alive: usize,
    /// Threads that are about to look for a job.
    returning: usize,
    /// Threads that wait, the one that was busy last on top.
    idle: Vec<Arc<Condvar>>,
    is_closed: bool,
    next: u64,
    /// Lets no thread be started, as where the system has none left.
    #[cfg(test)]
    pub(super) have_run_out: bool,
}

impl Threads {
    /// Takes note that a thread's job has ended, before the next one is admitted, which the thread then takes.
    pub(super) fn returns(&mut self) {
        self.busy -= 1;
        self.returning += 1;
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "tests look at it"))]
    fn start(&self, name: String, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        #[cfg(test)]
        if self.have_run_out {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        std::thread::Builder::new().name(name).spawn(run).map(drop)
    }

    /// Lets every thread end that has nothing to do.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        for idle in self.idle.drain(..) {
            idle.notify_one();
        }
    }
}

/// Hands an admitted job to a thread; gives it back when there is none and none can be started.
pub(super) fn hand_over(shared: &Arc<Shared>, start: Start, grant: Grant) -> Result<(), (Start, Grant)> {
    let mut state = shared.lock();
    let threads = &mut state.threads;
    threads.busy += 1;
    if threads.returning > 0 {
        threads.returning -= 1;
    } else if let Some(idle) = threads.idle.pop() {
        idle.notify_one();
    } else if threads.alive < threads.busy {
        let name = format!("{}-{}", shared.name, threads.next);
        let runs = Arc::clone(shared);
        match threads.start(name, move || run(&runs)) {
            Ok(()) => {
                threads.alive += 1;
                threads.next += 1;
            }
            Err(error) => {
                tracing::error!(workers = &*shared.name, %error, "no thread could be started");
                if threads.alive == 0 {
                    threads.busy -= 1;
                    return Err((start, grant));
                }
            }
        }
    }
    threads.ready.push_back((start, grant));
    Ok(())
}

fn run(shared: &Arc<Shared>) {
    // Jobs see the time of the runtime, which tests can pause, and may use its handle.
    let _runtime = shared.runtime.enter();
    let own = Arc::new(Condvar::new());
    while let Some((start, grant)) = next(shared, &own) {
        // The job's own panics are caught before; this is of a result that nobody takes and that panics when dropped.
        if catch_unwind(AssertUnwindSafe(|| start.run(Ok(grant)))).is_err() {
            tracing::error!(workers = &*shared.name, "dropping the result of a job panicked");
        }
    }
}

fn next(shared: &Arc<Shared>, own: &Arc<Condvar>) -> Option<(Start, Grant)> {
    let mut state = shared.lock();
    // It was returning, unless a job was left for it.
    state.threads.returning = state.threads.returning.saturating_sub(1);
    loop {
        if let Some(job) = state.threads.ready.pop_front() {
            return Some(job);
        }
        let mut is_over = state.threads.is_closed;
        if !is_over {
            state.threads.idle.push(Arc::clone(own));
            is_over = own.wait_for(&mut state, IDLE_MAX).timed_out();
            state.threads.idle.retain(|idle| !Arc::ptr_eq(idle, own));
        }
        if is_over && state.threads.ready.is_empty() {
            state.threads.alive -= 1;
            return None;
        }
    }
}
