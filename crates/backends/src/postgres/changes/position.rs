use std::fmt;

use crate::change::feed::Position;

/// Where an event stands: by its transaction's commit, and by its number within it. The commit itself comes last, and
/// is all that can be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogPosition {
    commit: u64,
    index: u32,
    /// Where the log goes on after the transaction; 0 for an event.
    end: u64,
}

impl LogPosition {
    pub(super) fn event(commit: u64, index: u32) -> Self {
        Self { commit, index, end: 0 }
    }

    pub(super) fn committed(commit: u64, end: u64) -> Self {
        Self { commit, index: u32::MAX, end }
    }

    /// Returns what to confirm to the server.
    pub(super) fn end(self) -> u64 {
        self.end
    }
}

impl Position for LogPosition {
    fn confirms(&self) -> bool {
        self.index == u32::MAX
    }
}

impl fmt::Display for LogPosition {
    /// Sorts as text as it does by place, as the extension `sequence` of CloudEvents wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}-{:08X}", self.commit, self.index)
    }
}
