//! What jobs of a name take, learned from those that ran.

use std::collections::{BTreeMap, VecDeque};

/// How many reports of a name are remembered.
const REPORTS: usize = 16;

/// What is known of the sizes of jobs, by name.
#[derive(Debug)]
pub(super) struct Learned {
    need_min: u64,
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    /// The most that a job was seen to take, running alone. It never shrinks: memory that the allocator has kept makes
    /// later jobs look small.
    seen: Option<u64>,
    /// What the last jobs said themselves, which is exact and counts before what was seen.
    reports: VecDeque<u64>,
}

impl Learned {
    pub(super) fn new(need_min: u64) -> Self {
        Self { need_min, kinds: BTreeMap::new() }
    }

    pub(super) fn set_need_min(&mut self, need_min: u64) {
        self.need_min = need_min;
    }

    /// Returns what a job of that name needs, with a quarter for what may differ, once something is known.
    pub(super) fn need(&self, name: &str) -> Option<u64> {
        let kind = self.kinds.get(name)?;
        let most = kind.reports.iter().copied().max().or(kind.seen)?;
        Some(most.saturating_add(most / 4).max(self.need_min))
    }

    /// A job that ran alone made the resident set grow by `bytes`.
    pub(super) fn saw(&mut self, name: &'static str, bytes: u64) {
        let kind = self.kinds.entry(name).or_default();
        kind.seen = kind.seen.max(Some(bytes));
    }

    /// A job said that it had `bytes`.
    pub(super) fn reported(&mut self, name: &'static str, bytes: u64) {
        let reports = &mut self.kinds.entry(name).or_default().reports;
        if reports.len() == REPORTS {
            reports.pop_front();
        }
        reports.push_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_was_seen_counts_with_a_quarter_more() {
        let mut learned = Learned::new(100);
        assert_eq!(learned.need("a"), None);
        learned.saw("a", 800);
        learned.saw("a", 400);
        assert_eq!((learned.need("a"), learned.need("b")), (Some(1000), None));
        learned.saw("b", 0);
        assert_eq!(learned.need("b"), Some(100), "not less than the least");
    }

    #[test]
    fn reports_count_before_what_was_seen_and_old_ones_are_forgotten() {
        let mut learned = Learned::new(1);
        learned.saw("a", 8000);
        learned.reported("a", 400);
        assert_eq!(learned.need("a"), Some(500));
        (0..REPORTS).for_each(|_| learned.reported("a", 40));
        assert_eq!(learned.need("a"), Some(50));
    }
}
