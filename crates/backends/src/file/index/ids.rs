use std::collections::{HashMap, VecDeque};

/// The newest event ids and where they stand.
#[derive(Debug)]
pub(in crate::file) struct Ids {
    positions: HashMap<u128, u64>,
    /// Oldest first.
    order: VecDeque<u128>,
    max: usize,
}

impl Ids {
    pub(super) fn new(max: u32) -> Self {
        Self { positions: HashMap::new(), order: VecDeque::new(), max: max as usize }
    }

    pub(in crate::file) fn position(&self, id: u128) -> Option<u64> {
        self.positions.get(&id).copied()
    }

    /// Remembers an id and forgets the oldest if there are too many.
    pub(in crate::file) fn add(&mut self, id: u128, position: u64) {
        if self.max == 0 {
            return;
        }
        if self.order.len() == self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.positions.remove(&oldest);
        }
        self.positions.insert(id, position);
        self.order.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut ids = Ids::new(3);
        (1..=5).for_each(|id| ids.add(u128::from(id), id * 10));
        assert_eq!(
            (1..=5).map(|id| ids.position(id)).collect::<Vec<_>>(),
            [None, None, Some(30), Some(40), Some(50)]
        );
        assert_eq!(ids.positions.len(), 3);
    }
}
