//! What a log holds that was sent some appends and deletions, in the order in which it took them.

use std::sync::Arc;

use steadfast_core::store::{Condition, Expected, NewEvent, Revision, StoredEvent};

/// An event, or what is left of it when its stream was deleted.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) new: NewEvent,
    pub(super) deleted: bool,
}

/// The log by position.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) slots: Vec<Slot>,
}

impl Model {
    pub(super) fn append(&mut self, events: &[NewEvent]) {
        self.slots.extend(events.iter().map(|new| Slot { new: new.clone(), deleted: false }));
    }

    /// Deletes a stream and returns how many events it had.
    pub(super) fn delete(&mut self, stream: &str) -> u64 {
        let of_it = |slot: &&mut Slot| !slot.deleted && &*slot.new.stream == stream;
        self.slots.iter_mut().filter(of_it).map(|slot| slot.deleted = true).count() as u64
    }

    /// The revision of the newest event of a stream, none if it has none.
    pub(super) fn revision(&self, stream: &str) -> Option<u64> {
        let of_it = self.slots.iter().filter(|slot| &*slot.new.stream == stream);
        let (count, last) = of_it.fold((0, None), |(count, _), slot| (count + 1, Some(slot)));
        last.filter(|slot| !slot.deleted).map(|_| count - 1)
    }

    pub(super) fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Streams(conditions) => {
                conditions.iter().all(|condition| self.is_as(&condition.stream, condition.expected))
            }
            Condition::NoneMatching { filter, after } => {
                let after = (after.parts().0 as usize).min(self.slots.len());
                let mut later = self.slots[after..].iter().filter(|slot| !slot.deleted);
                !later.any(|slot| filter.matches(&slot.new.stream, &slot.new.event))
            }
            _ => true,
        }
    }

    pub(super) fn is_as(&self, stream: &Arc<str>, expected: Expected) -> bool {
        let revision = self.revision(stream);
        match expected {
            Expected::NoStream => revision.is_none(),
            Expected::Exists => revision.is_some(),
            Expected::Revision(Revision(expected)) => revision == Some(expected),
        }
    }

    /// Says whether a log that ends at `head` and in which `found` is found is this one.
    pub(super) fn is(&self, found: &[StoredEvent], head: u64) -> bool {
        if self.slots.len() as u64 != head {
            return false;
        }
        let mut found = found.iter();
        let there = self.slots.iter().enumerate().filter(|(_, slot)| !slot.deleted).all(|(at, slot)| {
            found.next().is_some_and(|stored| {
                stored.position.parts().0 == at as u64 + 1
                    && (&stored.stream, &stored.event) == (&slot.new.stream, &slot.new.event)
                    && stored.revision == Revision(self.revision_at(at))
            })
        });
        there && found.next().is_none()
    }

    fn revision_at(&self, at: usize) -> u64 {
        let stream = &self.slots[at].new.stream;
        self.slots[..at].iter().filter(|slot| slot.new.stream == *stream).count() as u64
    }
}
