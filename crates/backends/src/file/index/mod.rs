//! What the log keeps in memory to find events; derived from the segments and rebuilt when they are opened.
//!
//! Cost: 8 bytes per event for its stream's list (up to 16 while a list grows), 16 bytes per 16 KiB of log for
//! checkpoints, about 100 bytes and the name per stream, about 40 bytes per remembered event id.

mod ids;
mod recent;
mod streams;

use super::format::Offset;

pub(super) use ids::Ids;
pub(super) use ids::Place;
pub(super) use recent::Recent;
pub(super) use streams::Streams;

/// A place to start reading from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Position of the first event of the frame that starts at `at`.
    pub(super) position: u64,
    pub(super) at: Offset,
}

/// How far apart checkpoints stand at least.
const APART: u32 = 16 << 10;

/// Where frames start, one of many.
#[derive(Debug, Default)]
pub(super) struct Checkpoints(Vec<Checkpoint>);

impl Checkpoints {
    /// Adds the frame at `at` whose first event has `position`, if it is far enough from the last one kept.
    pub(super) fn add(&mut self, position: u64, at: Offset) {
        let far = self
            .0
            .last()
            .is_none_or(|last| last.at.segment() != at.segment() || at.byte() - last.at.byte() >= APART);
        if far {
            self.0.push(Checkpoint { position, at });
        }
    }

    /// Returns the last frame kept that starts at or before the event at `position`.
    pub(super) fn before(&self, position: u64) -> Option<Checkpoint> {
        let behind = self.0.partition_point(|checkpoint| checkpoint.position <= position);
        self.0[..behind].last().copied()
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) streams: Streams,
    pub(super) checkpoints: Checkpoints,
    pub(super) ids: Ids,
    pub(super) recent: Recent,
}

impl Index {
    pub(super) fn new(ids_max: u32) -> Self {
        Self {
            streams: Streams::default(),
            checkpoints: Checkpoints::default(),
            ids: Ids::new(ids_max),
            recent: Recent::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_stands_at_or_before_its_event() {
        let mut checkpoints = Checkpoints::default();
        assert_eq!(checkpoints.before(1), None);
        for frame in 0..100_u32 {
            checkpoints.add(u64::from(frame) * 10 + 1, Offset::new(1, 64 + frame * 4096));
        }
        checkpoints.add(1001, Offset::start_of(2));
        assert_eq!(checkpoints.0.len(), 26);
        let found = checkpoints.before(45).expect("one");
        assert_eq!((found.position, found.at), (41, Offset::new(1, 64 + 4 * 4096)));
        assert_eq!(checkpoints.before(5000).map(|c| c.at), Some(Offset::start_of(2)));
    }
}
