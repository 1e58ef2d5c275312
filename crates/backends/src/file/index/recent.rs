use std::collections::VecDeque;

use steadfast_core::store::{Filter, NewEvent};

/// How many events are kept, and of how much data, once they are readable.
const EVENTS_MAX: usize = 4096;
const BYTES_MAX: usize = 4 << 20;

/// The newest events, so that a condition on a filter need not read the disk while the log is locked. All that is
/// not readable yet is here.
#[derive(Debug, Default)]
pub(in crate::file) struct Recent {
    events: VecDeque<NewEvent>,
    /// The position after the last one kept.
    next: u64,
    bytes: usize,
}

impl Recent {
    pub(in crate::file) fn push(&mut self, event: NewEvent, position: u64, readable: u64) {
        self.next = position + 1;
        self.bytes += event.event.data().len();
        self.events.push_back(event);
        while (self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX) && self.first() <= readable {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.data().len();
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
        Some(self.events.range(skipped..).any(|new| filter.matches(&new.stream, &new.event)))
    }

    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::Event;

    use super::*;

    #[test]
    fn forgets_only_what_is_readable_and_says_so() {
        let mut recent = Recent::default();
        let mut push = |position: u64, readable: u64| {
            let kind = if position == 10 { "wanted" } else { "other" };
            let event = Event::new("/s", kind).build();
            recent.push(NewEvent { stream: "a".into(), event }, position, readable);
        };
        (1..=5000).for_each(|position| push(position, 100));
        let filter = Filter { kinds: vec!["wanted".into()], ..Filter::default() };
        assert_eq!(recent.events.len(), 4900);
        assert_eq!(recent.matches_after(&filter, 5, 5001), None);
        assert_eq!(recent.matches_after(&filter, 100, 5001), Some(false));
        assert_eq!(recent.matches_after(&Filter::all(), 4999, 5001), Some(true));
        assert_eq!(recent.matches_after(&Filter::all(), 5000, 5001), Some(false));
    }
}
