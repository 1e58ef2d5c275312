use std::collections::HashMap;
use std::sync::Arc;

/// The events of each stream by revision.
#[derive(Debug, Default)]
pub(in crate::file) struct Streams(HashMap<Arc<str>, Vec<u64>>);

impl Streams {
    /// Appends the event at `position` and returns its revision.
    pub(in crate::file) fn push(&mut self, stream: &Arc<str>, position: u64) -> u64 {
        if let Some(positions) = self.0.get_mut(&**stream) {
            positions.push(position);
            return positions.len() as u64 - 1;
        }
        self.0.insert(Arc::clone(stream), vec![position]);
        0
    }

    /// Does the same for a name that is not shared yet.
    pub(in crate::file) fn push_name(&mut self, stream: &str, position: u64) -> u64 {
        if let Some(positions) = self.0.get_mut(stream) {
            positions.push(position);
            return positions.len() as u64 - 1;
        }
        self.push(&Arc::from(stream), position)
    }

    /// Returns the revision that the next event of `stream` will have.
    pub(in crate::file) fn next_revision(&self, stream: &str) -> u64 {
        self.0.get(stream).map_or(0, |positions| positions.len() as u64)
    }

    /// Returns how many events `stream` has at or before `position`.
    pub(in crate::file) fn count_until(&self, stream: &str, position: u64) -> u64 {
        let positions = self.0.get(stream).map_or(&[][..], Vec::as_slice);
        positions.len() as u64 - positions.iter().rev().take_while(|later| **later > position).count() as u64
    }

    /// Returns the revision of the event of `stream` at `position`, if that is where it stands.
    pub(in crate::file) fn revision_at(&self, stream: &str, position: u64) -> Option<u64> {
        self.0.get(stream)?.binary_search(&position).ok().map(|revision| revision as u64)
    }

    /// Returns the position of the newest event of `stream`.
    pub(in crate::file) fn last(&self, stream: &str) -> Option<u64> {
        self.0.get(stream)?.last().copied()
    }

    /// Adds to `found` the next positions of `streams` within `from..=to`, oldest first, at most `max`.
    pub(in crate::file) fn forward(&self, streams: &[Arc<str>], from: u64, to: u64, max: usize) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        for stream in streams {
            let positions = self.0.get(&**stream).map_or(&[][..], Vec::as_slice);
            let start = positions.partition_point(|position| *position < from);
            found.extend(positions[start..].iter().take(max).take_while(|position| **position <= to));
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(max);
        found
    }

    /// Does the same from `to` downwards, newest first.
    pub(in crate::file) fn backward(&self, streams: &[Arc<str>], from: u64, to: u64, max: usize) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        for stream in streams {
            let positions = self.0.get(&**stream).map_or(&[][..], Vec::as_slice);
            let end = positions.partition_point(|position| *position <= to);
            found.extend(positions[..end].iter().rev().take(max).take_while(|position| **position >= from));
        }
        found.sort_unstable_by_key(|position| std::cmp::Reverse(*position));
        found.dedup();
        found.truncate(max);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_count_from_zero_and_positions_merge() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut streams = Streams::default();
        let revisions: Vec<u64> =
            (1..=6).map(|p| streams.push(if p % 3 == 0 { &b } else { &a }, p)).collect();
        assert_eq!(revisions, [0, 1, 0, 2, 3, 1]);
        assert_eq!(streams.push_name("b", 7), 2);
        let both = [a, b];
        assert_eq!(streams.forward(&both, 2, 6, 3), [2, 3, 4]);
        assert_eq!(streams.forward(&both[1..], 1, 6, 9), [3, 6]);
        assert_eq!(streams.backward(&both, 2, 6, 3), [6, 5, 4]);
        assert_eq!(streams.count_until("a", 4), 3);
        assert_eq!((streams.revision_at("a", 4), streams.revision_at("a", 3)), (Some(2), None));
    }
}
