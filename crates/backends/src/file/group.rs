//! What waits for the writer: the frames of all batches since it last looked, and who waits for them.

use std::sync::Arc;

use super::answer::{Meeting, Outcome};
use super::format::Offset;

/// Frames that lie next to each other in one segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Where the first frame goes.
    pub(super) at: Offset,
    /// Where it begins in the group's bytes; the run ends where the next one begins.
    pub(super) start: usize,
    /// How long the first frame is.
    pub(super) first_length: usize,
    /// The position of the newest event before it.
    pub(super) before: u64,
}

/// Batches that share one write and one sync.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    pub(super) runs: Vec<Run>,
    /// Those who wait for the write.
    pub(super) written: Option<Arc<Meeting>>,
    /// Those who wait for the sync.
    pub(super) durable: Option<Arc<Meeting>>,
    /// Position of the last event, if there is one.
    pub(super) last: Option<u64>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.written.is_none() && self.durable.is_none()
    }

    /// Makes the group empty and keeps its buffers, unless one grew out of proportion.
    pub(super) fn clear(&mut self) {
        const KEPT_MAX: usize = 4 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_MAX);
        self.runs.clear();
        self.written = None;
        self.durable = None;
        self.last = None;
    }

    /// Tells all who still wait that it did not go well.
    pub(super) fn fail(&mut self, outcome: &Outcome) {
        for meeting in self.written.take().into_iter().chain(self.durable.take()) {
            meeting.announce(outcome.clone());
            meeting.wake_rest();
        }
    }
}
