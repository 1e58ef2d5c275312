use std::collections::HashMap;
use std::sync::Arc;

/// The events of each stream by revision.
#[derive(Debug, Default)]
pub(in crate::file) struct Streams {
    /// Which of the lists is whose.
    numbers: HashMap<Arc<str>, usize>,
    positions: Vec<Vec<u64>>,
}

impl Streams {
    /// Returns the positions of the events of `stream`, to which the caller appends at least one.
    pub(in crate::file) fn positions(&mut self, stream: &Arc<str>) -> &mut Vec<u64> {
        let number = match self.numbers.get(&**stream) {
            Some(number) => *number,
            None => self.add(Arc::clone(stream)),
        };
        &mut self.positions[number]
    }

    /// Appends the event at `position` and returns its revision.
    pub(in crate::file) fn push(&mut self, stream: &str, position: u64) -> u64 {
        let number = match self.numbers.get(stream) {
            Some(number) => *number,
            None => self.add(stream.into()),
        };
        let positions = &mut self.positions[number];
        positions.push(position);
        positions.len() as u64 - 1
    }

    fn add(&mut self, stream: Arc<str>) -> usize {
        self.positions.push(Vec::new());
        self.numbers.insert(stream, self.positions.len() - 1);
        self.positions.len() - 1
    }

    fn of(&self, stream: &str) -> &[u64] {
        self.numbers.get(stream).map_or(&[], |number| &self.positions[*number])
    }

    /// Returns the revision that the next event of `stream` will have.
    pub(in crate::file) fn next_revision(&self, stream: &str) -> u64 {
        self.of(stream).len() as u64
    }

    /// Returns how many events `stream` has at or before `position`.
    pub(in crate::file) fn count_until(&self, stream: &str, position: u64) -> u64 {
        let positions = self.of(stream);
        positions.len() as u64 - positions.iter().rev().take_while(|later| **later > position).count() as u64
    }

    /// Returns the revision of the event of `stream` at `position`, if that is where it stands.
    pub(in crate::file) fn revision_at(&self, stream: &str, position: u64) -> Option<u64> {
        self.of(stream).binary_search(&position).ok().map(|revision| revision as u64)
    }

    /// Returns the position of the newest event of `stream`.
    pub(in crate::file) fn last(&self, stream: &str) -> Option<u64> {
        self.of(stream).last().copied()
    }

    /// Adds to `found` the next positions of `streams` within `from..=to`, oldest first, at most `max`.
    pub(in crate::file) fn forward(&self, streams: &[Arc<str>], from: u64, to: u64, max: usize) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        for stream in streams {
            let positions = self.of(stream);
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
            let positions = self.of(stream);
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
        streams.positions(&b).push(7);
        assert_eq!(streams.next_revision("b"), 3);
        let both = [a, b];
        assert_eq!(streams.forward(&both, 2, 6, 3), [2, 3, 4]);
        assert_eq!(streams.forward(&both[1..], 1, 6, 9), [3, 6]);
        assert_eq!(streams.backward(&both, 2, 6, 3), [6, 5, 4]);
        assert_eq!(streams.count_until("a", 4), 3);
        assert_eq!((streams.revision_at("a", 4), streams.revision_at("a", 3)), (Some(2), None));
    }
}
