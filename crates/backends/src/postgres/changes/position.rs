use std::fmt;

use crate::change::feed::Position;

/// Where an event stands: by its transaction's commit, and by its number within it. The commit itself comes last, and
/// is all that can be confirmed.
///
/// A server that takes another's place, such as a standby that was promoted, counts on from where it was: its log can
/// come to places where the other one had been. What was read there says nothing of it, so all of its places come
/// after all of the other's: the reader counts servers in `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogPosition {
    epoch: u32,
    commit: u64,
    index: u32,
    /// Where the log goes on after the transaction; 0 for an event.
    end: u64,
}

impl LogPosition {
    pub(super) fn event(epoch: u32, commit: u64, index: u32) -> Self {
        Self { epoch, commit, index, end: 0 }
    }

    pub(super) fn committed(epoch: u32, commit: u64, end: u64) -> Self {
        Self { epoch, commit, index: u32::MAX, end }
    }

    /// Returns what to confirm, and to which server.
    pub(super) fn end(self) -> Reached {
        Reached { epoch: self.epoch, lsn: self.end }
    }
}

/// Up to where the log of a server is handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reached {
    pub(super) epoch: u32,
    pub(super) lsn: u64,
}

impl Reached {
    /// Returns what to tell the server of `epoch`: of another one's log nothing.
    pub(super) fn of(self, epoch: u32) -> Self {
        if self.epoch == epoch { self } else { Self { epoch, lsn: 0 } }
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
