use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::file::format::Offset;

/// Of which streams events are deleted that may still be in the segments, so that readers leave them out. It is empty
/// where nothing was ever deleted, and then costs a reader one comparison per event.
#[derive(Debug, Default)]
pub(in crate::file) struct Deletions {
    streams: RwLock<HashMap<Arc<str>, Entry>>,
    /// All that is deleted stands before this position.
    end: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    deleted: Deleted,
    /// The segments do not hold the events any more. Readers may: they have read some ahead.
    erased: bool,
}

/// How far a stream is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) struct Deleted {
    /// The revision of the first event that is not.
    pub(in crate::file) below: u64,
    /// The position that was due when it was deleted.
    pub(in crate::file) at: u64,
    /// Where the frame is that says so; before all others if it stands in a finished segment.
    pub(in crate::file) frame: Offset,
}

impl Deleted {
    /// What the index file of a finished segment says; none for a stream that was not deleted.
    pub(in crate::file) fn in_file(below: u64, at: u64) -> Option<Self> {
        (below > 0).then_some(Self { below, at, frame: Offset::new(0, 0) })
    }
}

impl Deletions {
    pub(in crate::file) fn add(&self, stream: &Arc<str>, deleted: Deleted) {
        self.streams.write().insert(Arc::clone(stream), Entry { deleted, erased: false });
        self.end.fetch_max(deleted.at, Ordering::Release);
    }

    /// All that is deleted stands before this position: whoever is beyond need not ask.
    pub(in crate::file) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Says whether the event of `stream` with `revision` is deleted.
    pub(in crate::file) fn holds(&self, stream: &str, revision: u64) -> bool {
        self.streams.read().get(stream).is_some_and(|entry| revision < entry.deleted.below)
    }

    /// Returns all of which the segments may hold events.
    pub(in crate::file) fn all(&self) -> HashMap<Arc<str>, Deleted> {
        let streams = self.streams.read();
        let there = streams.iter().filter(|(_, entry)| !entry.erased);
        there.map(|(stream, entry)| (Arc::clone(stream), entry.deleted)).collect()
    }

    /// Returns those whose frames stand before `told`.
    pub(in crate::file) fn before(&self, told: Offset) -> HashMap<Arc<str>, Deleted> {
        let mut all = self.all();
        all.retain(|_, deleted| deleted.frame < told);
        all
    }

    /// Takes note that no segment holds events of those any more for which `erased` says so.
    pub(in crate::file) fn note_erased(&self, mut erased: impl FnMut(&str, Deleted) -> bool) {
        for (stream, entry) in self.streams.write().iter_mut() {
            entry.erased |= erased(stream, entry.deleted);
        }
    }

    /// Forgets all for which `erased` says that no segment holds it, before there are readers.
    pub(in crate::file) fn forget(&self, mut erased: impl FnMut(&str, Deleted) -> bool) {
        let mut streams = self.streams.write();
        streams.retain(|stream, entry| !erased(stream, entry.deleted));
        let end = streams.values().map(|entry| entry.deleted.at).max().unwrap_or_default();
        self.end.store(end, Ordering::Release);
    }
}
