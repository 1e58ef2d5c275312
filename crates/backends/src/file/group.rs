//! What waits for the writer: the frames of all batches since it last looked, and who waits for them.

use steadfast_core::store::{Appended, Error};
use tokio::sync::oneshot;

use super::format::Offset;

/// Who is told how an append went.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) appended: Appended,
    pub(super) answer: oneshot::Sender<Result<Appended, Error>>,
}

/// Frames that lie next to each other in one segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Where the first frame goes.
    pub(super) at: Offset,
    /// Where it begins in the group's bytes; the run ends where the next one begins.
    pub(super) start: usize,
    /// How long the first frame is.
    pub(super) first_length: usize,
}

/// Batches that share one write and one sync.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    pub(super) runs: Vec<Run>,
    /// Those who wait for the write.
    pub(super) written: Vec<Waiter>,
    /// Those who wait for the sync.
    pub(super) durable: Vec<Waiter>,
    /// Position of the last event, if there is one.
    pub(super) last: Option<u64>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.written.is_empty() && self.durable.is_empty()
    }

    /// Makes the group empty and keeps its buffers, unless one grew out of proportion.
    pub(super) fn clear(&mut self) {
        const KEPT_MAX: usize = 4 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_MAX);
        self.runs.clear();
        self.written.clear();
        self.durable.clear();
        self.last = None;
    }

    /// Tells all who wait that nothing was written since `error` came before. A repeated batch shares the fate of
    /// the first one, which may have been on its way.
    pub(super) fn refuse(&mut self, error: &Error) {
        for waiter in self.written.drain(..).chain(self.durable.drain(..)) {
            let reason = if waiter.appended.duplicate { error.clone() } else { Error::Poisoned };
            let _ = waiter.answer.send(Err(reason));
        }
    }

    /// Tells all who still wait that it failed.
    pub(super) fn fail(&mut self, error: &Error) {
        for waiter in self.written.drain(..).chain(self.durable.drain(..)) {
            let _ = waiter.answer.send(Err(error.clone()));
        }
    }
}
