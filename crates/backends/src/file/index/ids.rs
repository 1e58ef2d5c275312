use std::collections::{HashMap, VecDeque};

/// Where an event stands, and whether it begins or ends its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) struct Place {
    pub(in crate::file) position: u64,
    pub(in crate::file) first: bool,
    pub(in crate::file) last: bool,
}

/// The newest event ids and where they stand.
#[derive(Debug)]
pub(in crate::file) struct Ids {
    /// The place of each, packed: the position above two bits.
    positions: HashMap<u128, u64>,
    /// Oldest first.
    order: VecDeque<u128>,
    max: usize,
}

impl Ids {
    pub(super) fn new(max: u32) -> Self {
        Self { positions: HashMap::new(), order: VecDeque::new(), max: max as usize }
    }

    pub(in crate::file) fn place(&self, id: u128) -> Option<Place> {
        let packed = *self.positions.get(&id)?;
        Some(Place { position: packed >> 2, first: packed & 1 != 0, last: packed & 2 != 0 })
    }

    /// Remembers an id and forgets the oldest if there are too many.
    pub(in crate::file) fn add(&mut self, id: u128, place: Place) {
        if self.max == 0 {
            return;
        }
        if self.order.len() == self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.positions.remove(&oldest);
        }
        let packed = place.position << 2 | u64::from(place.last) << 1 | u64::from(place.first);
        self.positions.insert(id, packed);
        self.order.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut ids = Ids::new(3);
        let place = |id: u64| Place { position: id * 10, first: id == 4, last: id != 3 };
        (1..=5).for_each(|id| ids.add(u128::from(id), place(id)));
        assert_eq!((ids.place(1), ids.place(2)), (None, None));
        assert!((3..=5).all(|id| ids.place(u128::from(id)) == Some(place(id))));
        assert_eq!(ids.positions.len(), 3);
    }
}
