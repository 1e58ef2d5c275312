//! Which events are recognised when they are appended again.

use std::collections::{BTreeMap, HashMap};

use steadfast_core::EventId;
use steadfast_core::store::{Batch, Error, Position};

use super::message::Recalled;

/// The newest events, as many as it is to remember, by their identities.
#[derive(Debug)]
pub(super) struct Ids {
    max: usize,
    places: HashMap<EventId, Recalled>,
    /// The events of each batch, by the first part of its position: batches are forgotten whole, the oldest first.
    batches: BTreeMap<u64, Vec<EventId>>,
}

impl Ids {
    pub(super) fn new(max: usize) -> Self {
        Self { max, places: HashMap::new(), batches: BTreeMap::new() }
    }

    /// How many events are known whose position begins with `major` or more.
    pub(super) fn count_from(&self, major: u64) -> usize {
        self.batches.range(major..).map(|(_, events)| events.len()).sum()
    }

    pub(super) fn get(&self, id: EventId) -> Option<Recalled> {
        self.places.get(&id).copied()
    }

    /// Takes note of an event, new or one that was deleted.
    pub(super) fn insert(&mut self, event: Recalled) {
        if self.places.insert(event.id, event).is_none() {
            self.batches.entry(event.major).or_default().push(event.id);
        }
    }

    /// Forgets what is older than the newest events that are to be remembered.
    pub(super) fn trim(&mut self) {
        while let Some(oldest) = self.batches.first_entry() {
            if self.places.len() - oldest.get().len() < self.max {
                return;
            }
            for id in oldest.remove() {
                self.places.remove(&id);
            }
        }
    }
}

/// Finds where `batch` stands, if it was appended before, by what is known of its events.
///
/// # Errors
/// [`Error::Invalid`] when it repeats some events of another batch.
pub(super) fn find(
    batch: &Batch,
    known: impl Fn(EventId) -> Option<Recalled>,
) -> Result<Option<(Position, u64)>, Error> {
    let places: Vec<_> = batch.events.iter().map(|new| known(new.event.id())).collect();
    if places.iter().all(Option::is_none) {
        return Ok(None);
    }
    let last = places.last().copied().flatten();
    let is_same = |last: &Recalled| {
        last.of as usize == places.len()
            && places.iter().zip(0..).all(|(place, minor)| {
                place.is_some_and(|place| (place.major, place.minor) == (last.major, minor))
            })
    };
    match last.filter(is_same) {
        Some(last) => Ok(Some((Position::from_parts(last.major, last.minor.into()), last.revision))),
        None => {
            let reason = "the batch repeats an event of another batch".to_owned();
            Err(Error::Invalid { reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::Event;

    use super::*;

    fn batch(size: usize) -> Batch {
        Batch::to_stream("s", (0..size).map(|_| Event::new("/", "e").build()))
    }

    fn found(ids: &Ids, batch: &Batch) -> Result<Option<(Position, u64)>, Error> {
        find(batch, |id| ids.get(id))
    }

    fn insert(ids: &mut Ids, major: u64, batch: &Batch) {
        for (new, minor) in batch.events.iter().zip(0..) {
            let of = batch.events.len() as u32;
            ids.insert(Recalled {
                id: new.event.id(),
                major,
                minor,
                of,
                revision: major * 10 + u64::from(minor),
            });
        }
        ids.trim();
    }

    #[test]
    fn a_batch_is_found_whole_and_in_its_order_alone() {
        let mut ids = Ids::new(10);
        let (known, other) = (batch(3), batch(1));
        insert(&mut ids, 4, &known);
        insert(&mut ids, 5, &other);
        assert_eq!(found(&ids, &known).ok(), Some(Some((Position::from_parts(4, 2), 42))));
        assert_eq!(found(&ids, &batch(2)).ok(), Some(None));
        let mut turned = known.clone();
        turned.events.reverse();
        let mut longer = known.clone();
        longer.events.extend(other.events.clone());
        let shorter = Batch { events: known.events[..2].to_vec() };
        for wrong in [turned, longer, shorter] {
            assert!(matches!(found(&ids, &wrong), Err(Error::Invalid { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn the_newest_are_remembered_and_batches_forgotten_whole() {
        let mut ids = Ids::new(4);
        let batches: Vec<_> = (0..4).map(|_| batch(2)).collect();
        for (batch, major) in batches.iter().zip(1..) {
            insert(&mut ids, major, batch);
        }
        assert_eq!((ids.count_from(0), ids.count_from(4)), (4, 2));
        let known: Vec<_> = batches.iter().map(|batch| found(&ids, batch).ok().flatten().is_some()).collect();
        assert_eq!(known, [false, false, true, true]);
        // Four of five would be too few: the oldest batch stays as long as it has one of the newest.
        insert(&mut ids, 9, &batch(1));
        assert_eq!(ids.count_from(0), 5);
    }
}
