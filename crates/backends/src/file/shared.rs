//! The meeting place of appenders, readers and the writer.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};
use steadfast_core::store::{Error, Outcome};
use tokio::sync::watch;

use super::archived::Broken;
use super::format::Offset;
use super::group::Group;
use super::index::Held;
use super::progress::Progress;
use super::segments::Segments;
use super::state::{State, Status};

/// How far readers may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The newest event that is written.
    pub(super) position: u64,
    /// Nothing will follow.
    pub(super) ended: bool,
    /// The log is closed, its thread is done and its lock given back.
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) segments: Segments,
    pub(super) progress: Arc<Progress>,
    pub(super) head: watch::Sender<Head>,
    state: Mutex<State>,
    /// Held while finished segments or their index files are made or replaced.
    pub(super) rewriting: Mutex<()>,
    /// Held while the next segment is made: the number of one that could not be, or not durably.
    pub(super) making: Mutex<Option<u32>>,
    /// Signalled when the group is no longer empty, or the log is to close.
    work: Condvar,
}

impl Shared {
    pub(super) fn new(segments: Segments, state: State) -> Self {
        let progress = Arc::clone(&state.progress);
        let head = Head { position: progress.readable(), ended: false, closed: false };
        Self {
            segments,
            progress,
            head: watch::Sender::new(head),
            state: Mutex::new(state),
            rewriting: Mutex::new(()),
            making: Mutex::new(None),
            work: Condvar::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Wakes the writer.
    pub(super) fn notify(&self) {
        self.work.notify_one();
    }

    /// Asks the writer to finish and close.
    pub(super) fn begin_close(&self) {
        let mut state = self.state();
        state.status = Status::Closed;
        // Under the lock, or the writer could look before and sleep after.
        self.head.send_if_modified(|head| !std::mem::replace(&mut head.ended, true));
        drop(state);
        self.notify();
    }

    /// Puts the batches that wait into `group`, which is empty, if there are any.
    pub(super) fn try_take_group(&self, group: &mut Group) -> bool {
        let mut state = self.state();
        let any = !state.group.is_empty();
        if any {
            std::mem::swap(&mut state.group, group);
        }
        any
    }

    /// Waits for batches and puts them into `group`, which is empty. Says no when the log is to close and
    /// nothing is left to do.
    pub(super) fn take_group(&self, group: &mut Group) -> bool {
        let mut state = self.state();
        while state.group.is_empty() {
            if self.head.borrow().ended {
                return false;
            }
            self.work.wait(&mut state);
        }
        std::mem::swap(&mut state.group, group);
        true
    }

    /// Lets readers go on to `position`, whose frame ends at or before `written_end`.
    pub(super) fn publish_readable(&self, position: u64, written_end: Offset) {
        self.progress.set_readable(position, written_end);
        self.head.send_modify(|head| head.position = position);
    }

    /// Refuses all appends from now on and fails those that wait.
    pub(super) fn poison(&self, error: &Error) {
        let mut state = self.state();
        if state.status == Status::Open {
            state.status = Status::Poisoned;
        }
        state.failure.get_or_insert_with(|| error.clone());
        let mut waiting = std::mem::take(&mut state.group);
        drop(state);
        waiting.fail(&super::answer::Outcome::Refused(error.clone()));
    }

    /// How the log failed, for whoever waited for what may be in it all the same.
    pub(super) fn left_open(&self, error: &Error) -> Error {
        let failure = self.state().failure.clone();
        super::answer::undecided(failure.as_ref().unwrap_or(error))
    }

    /// Makes the index fit a segment that was made anew, whose last frame has this checksum now. What fails costs time
    /// when the log is opened, and nothing else.
    pub(super) fn replaced(&self, held: &Held, last_checksum: u32) {
        let Held::File(file) = held else { return };
        match file.adapt(&self.segments, last_checksum) {
            Ok(Some(file)) => self.state().index.parts.replace(Arc::new(file)),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(segment = file.number(), %error, "the index of a segment could not follow it");
            }
        }
    }

    /// Returns an error if the log is closed or about to be.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if self.head.borrow().ended { Err(Error::Closed) } else { Ok(()) }
    }
}

/// The damage of an archived segment that a failed read has met, if that is why.
pub(super) fn damage(error: &std::io::Error) -> Option<Error> {
    let broken = error.get_ref()?.downcast_ref::<Broken>()?;
    Some(Error::Damaged { place: broken.at.to_string(), problem: broken.problem.to_owned() })
}

/// The error for a failed read.
pub(super) fn read_error(error: std::io::Error) -> Error {
    damage(&error).unwrap_or_else(|| Error::io("reading the log", error, Outcome::NotAppended))
}
