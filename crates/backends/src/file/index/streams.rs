use std::collections::{HashMap, hash_map};
use std::sync::Arc;

/// Every stream, with what appends must know of it. Where its events are, the parts tell.
#[derive(Debug, Default)]
pub(in crate::file) struct Streams {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    entries: Vec<Entry>,
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::file) struct Entry {
    /// The revision that its next event will have.
    pub(in crate::file) next_revision: u64,
    /// The revision below which all its events are deleted.
    pub(in crate::file) deleted: u64,
    /// The position of its newest event, 0 if it has none that is not deleted.
    pub(in crate::file) last: u64,
    /// Its number among the streams of a part, and the number of that part.
    pub(super) local: u32,
    pub(super) part: u32,
}

impl Entry {
    /// The revision of its newest event, none if it has none that is not deleted.
    pub(in crate::file) fn revision(&self) -> Option<u64> {
        (self.next_revision > self.deleted).then(|| self.next_revision - 1)
    }
}

impl Streams {
    /// Returns the number of `stream`, which is noted if it is new.
    pub(in crate::file) fn number(&mut self, stream: &Arc<str>) -> u32 {
        match self.numbers.get(&**stream) {
            Some(number) => *number,
            None => self.add(Arc::clone(stream)),
        }
    }

    /// Does the same for a name that is borrowed.
    pub(in crate::file) fn number_of(&mut self, stream: &str) -> u32 {
        match self.numbers.get(stream) {
            Some(number) => *number,
            None => self.add(stream.into()),
        }
    }

    /// Makes room for `count` streams more.
    pub(in crate::file) fn reserve(&mut self, count: usize) {
        self.numbers.reserve(count);
        self.names.reserve(count);
        self.entries.reserve(count);
    }

    /// Notes how a stream stands, and returns its number.
    pub(in crate::file) fn insert(&mut self, stream: &str, next_revision: u64, last: u64) -> u32 {
        let number = self.number_of(stream);
        let entry = &mut self.entries[number as usize];
        (entry.next_revision, entry.last) = (next_revision, last);
        number
    }

    /// Notes how a stream stands that is not there yet, without looking for it first, and returns its number; none if it
    /// is there after all.
    pub(in crate::file) fn insert_new(&mut self, stream: &str, next_revision: u64, last: u64) -> Option<u32> {
        let (stream, number) = (Arc::<str>::from(stream), self.entries.len() as u32);
        match self.numbers.entry(Arc::clone(&stream)) {
            hash_map::Entry::Vacant(place) => place.insert(number),
            hash_map::Entry::Occupied(_) => return None,
        };
        self.names.push(stream);
        self.entries.push(Entry { next_revision, last, ..Entry::default() });
        Some(number)
    }

    fn add(&mut self, stream: Arc<str>) -> u32 {
        let number = self.entries.len() as u32;
        self.entries.push(Entry::default());
        self.names.push(Arc::clone(&stream));
        self.numbers.insert(stream, number);
        number
    }

    pub(in crate::file) fn find(&self, stream: &str) -> Option<u32> {
        self.numbers.get(stream).copied()
    }

    pub(in crate::file) fn entry(&self, number: u32) -> Entry {
        self.entries[number as usize]
    }

    pub(super) fn named(&mut self, number: u32) -> (&Arc<str>, &mut Entry) {
        (&self.names[number as usize], &mut self.entries[number as usize])
    }

    pub(in crate::file) fn of(&self, stream: &str) -> Entry {
        self.find(stream).map_or(Entry::default(), |number| self.entry(number))
    }

    /// Gives out `count` revisions of a stream and returns the first of them. The events are to be added next.
    pub(in crate::file) fn take_revisions(&mut self, number: u32, count: u64) -> u64 {
        let entry = &mut self.entries[number as usize];
        let first = entry.next_revision;
        entry.next_revision += count;
        first
    }
}
