use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use steadfast_base::Rng;

/// The unit of the page cache: what is written back at one moment, or another.
const PAGE: u64 = 4096;
const PAGE_BYTES: usize = PAGE as usize;
/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// How many states of a page are told apart since it was synced; what is written on top of the newest replaces it.
const STATES_MAX: usize = 4;

type Bytes = Arc<[u8; PAGE_BYTES]>;

/// What is in a file: as it is seen, and each state that the medium may have of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pages: BTreeMap<u64, Page>,
    /// The pages that were changed since the last sync.
    dirty: BTreeSet<u64>,
    length_synced: u64,
    /// The lengths since the last sync, each with the number of the change that made it.
    lengths: Vec<(u64, u64)>,
    changes: u64,
}

/// A page; where a state has no bytes it is a hole, which reads as zeros.
#[derive(Debug, Clone, Default)]
struct Page {
    synced: Option<Bytes>,
    states: Vec<State>,
}

#[derive(Debug, Clone)]
struct State {
    change: u64,
    /// It was made by cutting the file: it stands if and only if the length that cut it does.
    cut: bool,
    bytes: Option<Bytes>,
}

impl Page {
    fn seen(&self) -> Option<&Bytes> {
        self.states.last().map_or(self.synced.as_ref(), |state| state.bytes.as_ref())
    }

    fn push(&mut self, state: State) {
        let full = self.states.len() >= STATES_MAX;
        match self.states.last_mut() {
            Some(last) if full && !last.cut => *last = state,
            _ => self.states.push(state),
        }
    }

    /// Draws what the medium has of the page, if the changes of the length up to `length_change` have reached it.
    fn draw(&self, length_change: u64, rng: &mut Rng) -> Option<Bytes> {
        let mut possible = vec![&self.synced];
        for state in &self.states {
            match state.cut {
                true if state.change > length_change => break,
                true => possible.clear(),
                false => {}
            }
            possible.push(&state.bytes);
        }
        let mut pick = || possible[rng.below(possible.len() as u64) as usize].clone();
        let (one, other) = (pick(), pick());
        // Now and then power is lost amid the page.
        if !rng.chance(0.25) {
            return one;
        }
        let mut torn = bytes_of(one.as_ref());
        let other = bytes_of(other.as_ref());
        for start in (0..PAGE_BYTES).step_by(SECTOR_BYTES).filter(|_| rng.chance(0.5)) {
            let sector = start..start + SECTOR_BYTES;
            torn[sector.clone()].copy_from_slice(&other[sector]);
        }
        Some(Arc::new(torn))
    }
}

fn bytes_of(bytes: Option<&Bytes>) -> [u8; PAGE_BYTES] {
    bytes.map_or([0; PAGE_BYTES], |bytes| **bytes)
}

/// The parts of pages that make up `length` bytes from `offset` on: the page's number, the part of the page, and the
/// part of the whole.
fn parts(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % PAGE) as usize;
        let count = (PAGE_BYTES - start).min(length - done);
        let part = (at / PAGE, start..start + count, done..done + count);
        done += count;
        (count > 0).then_some(part)
    })
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        self.lengths.last().map_or(self.length_synced, |(_, length)| *length)
    }

    /// Returns at most `count` bytes from `offset` on, fewer at the end.
    pub(super) fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let count = count.min(usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut read = vec![0; count];
        for (number, part, whole) in parts(offset, count) {
            if let Some(bytes) = self.pages.get(&number).and_then(Page::seen) {
                read[whole].copy_from_slice(&bytes[part]);
            }
        }
        read
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.changes += 1;
        for (number, part, whole) in parts(offset, bytes.len()) {
            let page = self.pages.entry(number).or_default();
            let mut written = bytes_of(page.seen());
            written[part].copy_from_slice(&bytes[whole]);
            page.push(State { change: self.changes, cut: false, bytes: Some(Arc::new(written)) });
            self.dirty.insert(number);
        }
        let end = offset + bytes.len() as u64;
        if end > self.len() {
            self.lengths.push((self.changes, end));
        }
    }

    pub(super) fn set_len(&mut self, length: u64) {
        self.changes += 1;
        if length < self.len() {
            let change = self.changes;
            for (number, page) in self.pages.range_mut(length / PAGE..) {
                let kept = length.saturating_sub(number * PAGE) as usize;
                let mut bytes = bytes_of(page.seen());
                bytes[kept..].fill(0);
                page.push(State { change, cut: true, bytes: (kept > 0).then(|| Arc::new(bytes)) });
                self.dirty.insert(*number);
            }
        }
        if length != self.len() {
            self.lengths.push((self.changes, length));
        }
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) {
        for number in std::mem::take(&mut self.dirty) {
            let Some(page) = self.pages.get_mut(&number) else { continue };
            page.synced = page.seen().cloned();
            page.states.clear();
            if page.synced.is_none() {
                self.pages.remove(&number);
            }
        }
        self.length_synced = self.len();
        self.lengths.clear();
    }

    /// Returns what is left after power was lost: what is durable and, if there are dice, of the rest whatever they
    /// say.
    pub(super) fn survivor(&self, dice: Option<&mut Rng>) -> Self {
        let Some(rng) = dice else {
            let synced = |(number, page): (&u64, &Page)| Some((*number, page.synced.clone()?));
            return Self::synced(self.pages.iter().filter_map(synced), self.length_synced);
        };
        let (length_change, length) = match rng.below(self.lengths.len() as u64 + 1) {
            0 => (0, self.length_synced),
            drawn => self.lengths[drawn as usize - 1],
        };
        let drawn = self.pages.iter().filter_map(|(number, page)| {
            let bytes = match page.states.is_empty() {
                true => page.synced.clone(),
                false => page.draw(length_change, rng),
            };
            Some((*number, bytes?))
        });
        Self::synced(drawn, length)
    }

    fn synced(pages: impl Iterator<Item = (u64, Bytes)>, length: u64) -> Self {
        let page = |(number, bytes)| (number, Page { synced: Some(bytes), states: Vec::new() });
        let mut contents = Self { length_synced: length, ..Self::default() };
        contents.pages = pages.filter(|(number, _)| number * PAGE < length).map(page).collect();
        // What lies behind the end must read as zeros if the file grows again.
        if let Some(page) = contents.pages.get_mut(&(length / PAGE)) {
            let mut bytes = bytes_of(page.synced.as_ref());
            bytes[(length % PAGE) as usize..].fill(0);
            page.synced = Some(Arc::new(bytes));
        }
        contents
    }
}

#[cfg(test)]
mod tests {
    use steadfast_base::Seed;

    use super::*;

    fn all(contents: &Contents) -> Vec<u8> {
        contents.read(0, usize::MAX)
    }

    #[test]
    fn what_was_not_synced_is_gone() {
        let mut file = Contents::default();
        file.write(4090, b"across two pages");
        file.sync();
        let synced = all(&file);
        file.write(0, b"later");
        file.write(10_000, b"further");
        file.set_len(3);
        assert_eq!(all(&file), b"lat");
        let left = file.survivor(None);
        assert_eq!(all(&left), synced);
        assert_eq!(left.len(), 4106);
    }

    #[test]
    fn what_is_cut_off_and_grows_again_is_zero() {
        let mut file = Contents::default();
        file.write(0, &[7; 9000]);
        file.set_len(5000);
        file.set_len(9000);
        assert!(all(&file)[5000..].iter().all(|byte| *byte == 0));
        file.sync();
        assert!(all(&file.survivor(None))[5000..].iter().all(|byte| *byte == 0));
    }

    /// Each byte that the dice leave was there at some time since the sync, and over many throws all of them come.
    #[test]
    fn dice_leave_any_part_of_what_was_not_synced_and_nothing_else() {
        let mut file = Contents::default();
        file.write(0, &[1; 8192]);
        file.sync();
        for value in [2, 3] {
            file.write(0, &[value; 8192]);
        }
        file.write(8192, &[4; 100]);
        let mut rng = Seed::new(1).rng();
        let (mut pairs, mut lengths, mut torn) = (BTreeSet::new(), BTreeSet::new(), false);
        for _ in 0..500 {
            let left = all(&file.survivor(Some(&mut rng)));
            lengths.insert(left.len());
            assert!(left[..8192].iter().all(|byte| (1..=3).contains(byte)));
            assert!(left[8192..].iter().all(|byte| [0, 4].contains(byte)));
            torn |= left[0] != left[512];
            let whole = |page: &[u8]| page.iter().all(|byte| *byte == page[0]);
            if whole(&left[..4096]) && whole(&left[4096..8192]) {
                pairs.insert((left[0], left[4096]));
            }
        }
        assert_eq!((pairs.len(), lengths.len(), torn), (9, 2, true), "{pairs:?} {lengths:?}");
    }

    /// Where the cut did not reach the medium, what it cut off is there still; where it did, nothing of it is.
    #[test]
    fn a_cut_and_what_it_cut_off_go_together() {
        let mut file = Contents::default();
        file.write(0, &[1; 5000]);
        file.sync();
        file.set_len(10);
        file.write(10, &[2; 4990]);
        let mut rng = Seed::new(2).rng();
        let mut lengths = BTreeSet::new();
        for _ in 0..300 {
            let left = all(&file.survivor(Some(&mut rng)));
            let fresh = left.get(10..).is_some_and(|tail| tail.iter().all(|byte| [0, 2].contains(byte)));
            let old = left.len() == 5000 && left.iter().all(|byte| *byte == 1);
            assert!(old || fresh, "{:?}", &left[..20]);
            assert_eq!(&left[..10], &[1; 10]);
            lengths.insert((left.len(), old));
        }
        assert_eq!(lengths.len(), 3, "{lengths:?}");
    }
}
