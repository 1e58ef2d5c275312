use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use steadfast_core::store::{Appended, Batch, Condition, Deleted, Durability, Error, Expected};
use tokio::sync::oneshot;

/// What the writer is asked for.
pub(super) enum Job {
    Append { batch: Batch, condition: Condition, durability: Durability, answer: Answer<Appended> },
    Delete { stream: String, expected: Option<Expected>, durability: Durability, answer: Answer<Deleted> },
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What waits for the writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: u64,
    closing: bool,
    /// Why nothing is taken any more.
    failed: Option<Error>,
}

/// What the writer found.
pub(super) struct Found {
    pub(super) jobs: Vec<Job>,
    pub(super) closing: bool,
}

impl Job {
    fn bytes(&self) -> u64 {
        // Something for each event besides its data, so that many small ones do not slip through.
        match self {
            Self::Append { batch, .. } => {
                batch.events.iter().map(|new| new.event.data().len() as u64 + 128).sum()
            }
            Self::Delete { .. } => 128,
        }
    }

    pub(super) fn durability(&self) -> Durability {
        match self {
            Self::Append { durability, .. } | Self::Delete { durability, .. } => *durability,
        }
    }

    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Append { answer, .. } => drop(answer.send(Err(error))),
            Self::Delete { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

impl Queue {
    pub(super) fn push(&self, job: Job, bytes_max: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(Error::Closed);
        }
        if state.failed.is_some() {
            return Err(Error::Poisoned);
        }
        if state.bytes >= bytes_max.max(1) {
            return Err(Error::Overloaded);
        }
        state.bytes += job.bytes();
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for jobs, at most for `wait`, and takes up to `max`.
    pub(super) fn take(&self, max: usize, wait: Duration) -> Found {
        let mut state = self.state.lock();
        if state.jobs.is_empty() && !state.closing {
            let _ = self.changed.wait_for(&mut state, wait);
        }
        let count = state.jobs.len().min(max);
        let jobs: Vec<Job> = state.jobs.drain(..count).collect();
        state.bytes -= jobs.iter().map(Job::bytes).sum::<u64>();
        Found { jobs, closing: state.closing }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }

    /// Takes nothing from now on, and refuses what waits.
    pub(super) fn fail(&self, error: Error) {
        let jobs = {
            let mut state = self.state.lock();
            state.failed = Some(error);
            state.bytes = 0;
            std::mem::take(&mut state.jobs)
        };
        jobs.into_iter().for_each(|job| job.refuse(Error::Poisoned));
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.state.lock().failed.clone()
    }
}
