use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// Where an event stands, and whether it begins or ends its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) struct Place {
    pub(in crate::file) position: u64,
    pub(in crate::file) first: bool,
    pub(in crate::file) last: bool,
    /// The number of its stream, or [`UNKNOWN`], and its revision there.
    pub(in crate::file) stream: u32,
    pub(in crate::file) revision: u64,
}

/// The stream of an event of a finished segment, until somebody has asked.
pub(in crate::file) const UNKNOWN: u32 = u32::MAX;
/// The stream of an event that is none of the one asked for.
pub(in crate::file) const ANOTHER: u32 = u32::MAX - 1;

/// What is kept beside an id.
#[derive(Debug, Clone, Copy)]
struct Kept {
    revision: u64,
    stream: u32,
    edges: u8,
}

/// The newest event ids and where they stand.
///
/// An append looks up, adds and forgets one id per event while the log is locked, so this is a table of its own:
/// ids lie in the order of their positions, and the slots by which they are found take 8 bytes each, few enough
/// for most of them to stay in the processor's cache.
#[derive(Debug)]
pub(in crate::file) struct Ids {
    /// Oldest first, of positions without gap.
    kept: VecDeque<u128>,
    /// For each id kept, its stream, and whether it begins and whether it ends its batch.
    beside: VecDeque<Kept>,
    /// The position after the newest one kept.
    next: u64,
    /// Open addressing with linear probing: a power of two of them, at least three eighths of them empty.
    slots: Vec<Slot>,
    max: usize,
    /// Secret, so that nobody can choose ids that meet in one slot.
    secret: [u64; 2],
}

/// The upper half is that of the id's hash, the lower one that of its position, so that most comparisons need not
/// look at the id itself, and none of the moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    /// No id: an id's hash has its lowest bit set.
    const EMPTY: Self = Self(0);

    fn new(hash: u32, position: u64) -> Self {
        Self(u64::from(hash) << 32 | u64::from(position as u32))
    }

    fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Whether an event begins its batch, and whether it ends it.
pub(in crate::file) const BEGINS: u8 = 1;
pub(in crate::file) const ENDS: u8 = 2;

pub(super) fn edges(first: bool, last: bool) -> u8 {
    (u8::from(first) * BEGINS) | (u8::from(last) * ENDS)
}

/// One more in so many is kept before the oldest are forgotten together.
const SURPLUS: usize = 1024;
/// The fewest slots there are.
const SLOTS_MIN: usize = 64;

impl Ids {
    pub(in crate::file) fn new(max: u32) -> Self {
        let random = RandomState::new();
        Self {
            kept: VecDeque::new(),
            beside: VecDeque::new(),
            next: 1,
            slots: vec![Slot::EMPTY; SLOTS_MIN],
            max: max as usize,
            secret: [random.hash_one(0), random.hash_one(1)],
        }
    }

    /// Makes room for `count` ids at once, before the first is added.
    pub(in crate::file) fn reserve(&mut self, count: usize) {
        let count = count.min(self.max + self.max / SURPLUS);
        self.kept.reserve_exact(count);
        self.beside.reserve_exact(count);
        if self.kept.is_empty() {
            let mut slots = self.slots.len();
            while count * 8 >= slots * 5 {
                slots *= 2;
            }
            self.slots = vec![Slot::EMPTY; slots];
        }
    }

    pub(in crate::file) fn place(&self, id: u128) -> Option<Place> {
        let hash = self.hash(id);
        let mut at = self.home(hash);
        while self.slots[at] != Slot::EMPTY {
            if self.slots[at].hash() == hash {
                let index = self.index(self.slots[at]);
                if self.kept[index] == id {
                    let position = self.next - (self.kept.len() - index) as u64;
                    let Kept { revision, stream, edges } = self.beside[index];
                    let (first, last) = (edges & BEGINS != 0, edges & ENDS != 0);
                    return Some(Place { position, first, last, stream, revision });
                }
            }
            at = self.after(at);
        }
        None
    }

    /// Remembers an id, of the position after the one before, and forgets the oldest if there are too many.
    pub(in crate::file) fn add(&mut self, id: u128, place: Place) {
        if self.max == 0 {
            return;
        }
        let most = self.max + self.max / SURPLUS;
        if self.kept.len() >= most {
            self.forget_surplus();
        }
        if self.kept.len() == self.kept.capacity() {
            let more = (self.kept.len() + SLOTS_MIN).min(most - self.kept.len());
            self.kept.reserve_exact(more);
            self.beside.reserve_exact(more);
        }
        if self.kept.len() * 8 >= self.slots.len() * 5 {
            self.grow();
        }
        debug_assert!(self.kept.is_empty() || place.position == self.next, "positions have no gap");
        self.next = place.position + 1;
        self.kept.push_back(id);
        let Place { revision, stream, first, last, .. } = place;
        self.beside.push_back(Kept { revision, stream, edges: edges(first, last) });
        let hash = self.hash(id);
        self.put(Slot::new(hash, place.position));
    }

    /// Notes the stream of the event at `position`, if its id is kept.
    pub(in crate::file) fn tell(&mut self, position: u64, stream: u32, revision: u64) {
        let oldest = self.next - self.kept.len() as u64;
        let index = position.checked_sub(oldest).map(|index| index as usize);
        if let Some(kept) = index.and_then(|index| self.beside.get_mut(index)) {
            (kept.stream, kept.revision) = (stream, revision);
        }
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash());
        while self.slots[at] != Slot::EMPTY {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    /// Forgets the oldest until there is room for one more.
    fn forget_surplus(&mut self) {
        let surplus = self.kept.len() + 1 - self.max;
        // Reading all their slots first lets the processor fetch them at the same time and not one by one.
        let fetched =
            self.kept.range(..surplus).fold(0, |all, id| all ^ self.slots[self.home(self.hash(*id))].0);
        std::hint::black_box(fetched);
        for _ in 0..surplus {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.kept.pop_front() else { return };
        self.beside.pop_front();
        let oldest = Slot::new(self.hash(id), self.next - self.kept.len() as u64 - 1);
        let mut hole = self.home(oldest.hash());
        while self.slots[hole] != oldest {
            hole = self.after(hole);
        }
        // Whoever was put further along because the way was taken moves up, or it would not be found any more.
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = self.after(at);
            let slot = self.slots[at];
            if slot == Slot::EMPTY {
                break;
            }
            let way = at.wrapping_sub(self.home(slot.hash())) & mask;
            if way >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = Slot::EMPTY;
    }

    fn grow(&mut self) {
        let slots = vec![Slot::EMPTY; self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot != Slot::EMPTY {
                self.put(slot);
            }
        }
    }

    /// Where among those kept the slot's id is. Fewer are kept than there are numbers of 32 bits.
    fn index(&self, slot: Slot) -> usize {
        let oldest = self.next - self.kept.len() as u64;
        (slot.0 as u32).wrapping_sub(oldest as u32) as usize
    }

    fn home(&self, hash: u32) -> usize {
        // The lowest bit is always set and tells nothing.
        (hash >> 1) as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn hash(&self, id: u128) -> u32 {
        let (low, high) = (id as u64 ^ self.secret[0], (id >> 64) as u64 ^ self.secret[1]);
        let product = u128::from(low) * u128::from(high);
        let folded = product as u64 ^ (product >> 64) as u64;
        ((folded >> 32) as u32 ^ folded as u32) | 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut ids = Ids::new(3);
        let place =
            |id: u64| Place { position: id + 6, first: id == 4, last: id != 3, stream: 1, revision: id };
        (1..=5).for_each(|id| ids.add(u128::from(id), place(id)));
        assert_eq!((ids.place(1), ids.place(2)), (None, None));
        assert!((3..=5).all(|id| ids.place(u128::from(id)) == Some(place(id))));
    }

    #[test]
    fn the_oldest_are_forgotten_several_at_once() {
        const MAX: u64 = 4096;
        let mut ids = Ids::new(MAX as u32);
        let place =
            |position: u64| Place { position, first: true, last: true, stream: 0, revision: position };
        for newest in 1..=3 * MAX {
            ids.add(u128::from(newest), place(newest));
            let kept = ids.kept.len() as u64;
            assert!(kept == newest || (MAX..=MAX + 4).contains(&kept), "{kept} of {newest}");
        }
        let oldest = 3 * MAX + 1 - ids.kept.len() as u64;
        assert!((1..oldest).all(|id| ids.place(u128::from(id)).is_none()));
        assert!((oldest..=3 * MAX).all(|id| ids.place(u128::from(id)) == Some(place(id))));
    }

    proptest! {
        /// Beside a plain map, also where hashes meet and positions pass 32 bits.
        #[test]
        fn does_what_a_map_does(
            added in proptest::collection::hash_set(0_u128..2000, 1..600),
            max in 0_u32..300,
            reserved in prop_oneof![Just(0), 0_usize..600],
            start in (u64::from(u32::MAX) - 300)..u64::from(u32::MAX),
            secret in prop_oneof![Just([0, 0]), any::<[u64; 2]>()],
        ) {
            let mut ids = Ids { secret, ..Ids::new(max) };
            ids.reserve(reserved);
            let added: Vec<u128> = added.into_iter().collect();
            let mut expected = HashMap::new();
            for (at, id) in added.iter().enumerate() {
                let position = start + at as u64;
                let (first, last) = (at % 3 == 0, at % 2 == 0);
                let place = Place { position, first, last, stream: at as u32 % 5, revision: at as u64 };
                ids.add(*id, place);
                expected.insert(*id, place);
                if let Some(old) = at.checked_sub(max as usize) {
                    expected.remove(&added[old]);
                }
                prop_assert_eq!(ids.place(*id), expected.get(id).copied());
            }
            for id in 0..2000 {
                prop_assert_eq!(ids.place(id), expected.get(&id).copied(), "{}", id);
            }
            let taken = ids.slots.iter().filter(|slot| **slot != Slot::EMPTY).count();
            prop_assert_eq!(taken, expected.len());
        }
    }
}
