use std::collections::VecDeque;

use steadfast_core::store::{Filter, Label};

/// How many events are kept once they are readable.
const EVENTS_MAX: usize = 4096;

/// What filters look at in the newest events, so that a condition on a filter need not read the disk while the log
/// is locked. All that is not readable yet is here.
#[derive(Debug, Default)]
pub(in crate::file) struct Recent {
    /// None where the event is deleted.
    labels: VecDeque<Option<Label>>,
    /// The position after the last one kept.
    next: u64,
}

impl Recent {
    pub(in crate::file) fn push(&mut self, label: Label, position: u64, readable: u64) {
        self.next = position + 1;
        self.labels.push_back(Some(label));
        while self.labels.len() > EVENTS_MAX && self.first() <= readable {
            self.labels.pop_front();
        }
    }

    /// Says whether an event after `after` matches; none when it may be one that is not kept any more.
    pub(in crate::file) fn matches_after(&self, filter: &Filter, after: u64, next: u64) -> Option<bool> {
        if after + 1 >= next {
            return Some(false);
        }
        if self.next != next || after + 1 < self.first() {
            return None;
        }
        let skipped = (after + 1 - self.first()) as usize;
        Some(self.labels.range(skipped..).flatten().any(|label| filter.matches_label(label)))
    }

    /// Takes out the events of a stream that is deleted.
    pub(super) fn delete(&mut self, stream: &str) {
        for label in &mut self.labels {
            if label.as_ref().is_some_and(|label| &*label.stream == stream) {
                *label = None;
            }
        }
    }

    fn first(&self) -> u64 {
        self.next - self.labels.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_only_what_is_readable_and_says_so() {
        let mut recent = Recent::default();
        let mut push = |position: u64, readable: u64| {
            let kind = if position == 10 { "wanted" } else { "other" };
            recent.push(Label { stream: "a".into(), kind: kind.into(), subject: None }, position, readable);
        };
        (1..=5000).for_each(|position| push(position, 100));
        let filter = Filter { kinds: vec!["wanted".into()], ..Filter::default() };
        assert_eq!(recent.labels.len(), 4900);
        assert_eq!(recent.matches_after(&filter, 5, 5001), None);
        assert_eq!(recent.matches_after(&filter, 100, 5001), Some(false));
        assert_eq!(recent.matches_after(&Filter::all(), 4999, 5001), Some(true));
        assert_eq!(recent.matches_after(&Filter::all(), 5000, 5001), Some(false));
    }
}
