use super::hash::hash;
use super::head::Head;
use crate::file::format::{VERSION, varint};
use crate::file::index::{Deleted, Index, Part};

/// What is said of one stream of a part, before the places of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    /// The revision of its first event here, and how many it has here.
    pub(super) first_revision: u64,
    pub(super) count: u64,
    /// The position of its newest event in an earlier part, 0 if there is none or it was deleted in this one.
    pub(super) before: u64,
    /// Its newest event here, counted from 0.
    last: u64,
    /// How far it is deleted, if it was deleted in this part.
    pub(super) deleted: Option<Deleted>,
    /// The places of its events.
    pub(super) places: &'a [u8],
}

/// Makes the file of a part. `last_checksum` is that of the last frame of its segment.
pub(super) fn encode(part: &Part, identity: u64, last_checksum: u32) -> Vec<u8> {
    let mut marks = Vec::with_capacity(part.checkpoints.len() * super::head::MARK);
    for mark in &part.checkpoints {
        marks.extend_from_slice(&mark.event.to_le_bytes());
        marks.extend_from_slice(&mark.byte.to_le_bytes());
    }
    let events = part.events_by_stream();
    let mut order: Vec<(u64, usize)> =
        part.streams.iter().enumerate().map(|(local, stream)| (hash(&stream.name), local)).collect();
    order.sort_unstable_by(|(a, left), (b, right)| {
        a.cmp(b).then_with(|| part.streams[*left].name.cmp(&part.streams[*right].name))
    });
    let (mut table, mut said) = (Vec::with_capacity(order.len() * super::head::ENTRY), Vec::new());
    for (hash, local) in order {
        let start = said.len();
        say(&mut said, part, local, &events[local]);
        table.extend_from_slice(&hash.to_le_bytes());
        table.extend_from_slice(&(start as u32).to_le_bytes());
        table.extend_from_slice(&((said.len() - start) as u32).to_le_bytes());
    }
    let ids: Vec<u8> = part.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let head = Head {
        version: VERSION,
        number: part.number,
        identity,
        first: part.first,
        events: part.count(),
        last_frame: part.last_frame,
        last_checksum,
        end: part.end,
        marks: part.checkpoints.len() as u32,
        marks_checksum: crc32c::crc32c(&marks),
        streams: part.streams.len() as u32,
        streams_bytes: said.len() as u32,
        streams_checksum: crc32c::crc32c_append(crc32c::crc32c(&table), &said),
        ids_checksum: crc32c::crc32c_append(crc32c::crc32c(&ids), &part.edges),
        archive: None,
    };
    [&head.encode()[..], &marks, &table, &said, &ids, &part.edges].concat()
}

fn say(said: &mut Vec<u8>, part: &Part, local: usize, events: &[u32]) {
    let start = said.len();
    let stream = &part.streams[local];
    varint::put(said, stream.name.len() as u64);
    said.extend_from_slice(stream.name.as_bytes());
    varint::put(said, stream.first_revision);
    varint::put(said, stream.before);
    varint::put(said, events.len() as u64);
    varint::put(said, events.last().copied().unwrap_or_default().into());
    let (below, at) = stream.deleted.map_or((0, 0), |deleted| (deleted.below, deleted.at));
    varint::put(said, below);
    varint::put(said, at);
    let mut before = 0;
    for event in events {
        varint::put(said, u64::from(event - before));
        before = *event;
    }
    let sum = crc32c::crc32c(&said[start..]);
    said.extend_from_slice(&sum.to_le_bytes());
}

/// Reads what is said of one stream in a file of `version`; none if it is not whole.
pub(super) fn read(bytes: &[u8], version: u8) -> Option<Said<'_>> {
    let (said, sum) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(said) == u32::from_le_bytes(*sum)).then_some(())?;
    let mut rest = said;
    let length = usize::try_from(varint::take(&mut rest).ok()?).ok()?;
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    rest = &rest[length..];
    let mut number = || varint::take(&mut rest).ok();
    let (first_revision, before, count, last) = (number()?, number()?, number()?, number()?);
    // Nothing could be deleted when version 1 was written.
    let (below, at) = if version == 1 { (0, 0) } else { (number()?, number()?) };
    let deleted = Deleted::in_file(below, at);
    Some(Said { name, first_revision, count, before, last, deleted, places: rest })
}

impl Said<'_> {
    /// Returns the events counted from 0, oldest first; none if there are not as many as was said.
    pub(super) fn events(&self) -> Option<Vec<u64>> {
        let (mut rest, mut at) = (self.places, 0);
        let mut events = Vec::new();
        while !rest.is_empty() {
            at += varint::take(&mut rest).ok()?;
            events.push(at);
        }
        (events.len() as u64 == self.count).then_some(events)
    }

    /// The revision of its next event after the part.
    pub(super) fn next_revision(&self) -> u64 {
        self.first_revision + self.count
    }

    /// The position of its newest event that is not deleted in the part whose first event is at `first`, 0 if there is
    /// none.
    pub(super) fn last(&self, first: u64) -> u64 {
        let below = self.deleted.map_or(0, |deleted| deleted.below);
        if self.count > 0 && self.next_revision() > below { first + self.last } else { 0 }
    }

    /// Notes how the stream stands after the part whose first event is at `first`.
    pub(super) fn note(&self, first: u64, index: &mut Index) {
        index.note_stream(self.name, self.next_revision(), self.last(first), self.deleted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a stream, in the order in which it is written.
    fn said(numbers: &[u64]) -> Vec<u8> {
        let mut bytes = vec![1, b's'];
        numbers.iter().for_each(|number| varint::put(&mut bytes, *number));
        let sum = crc32c::crc32c(&bytes);
        [&bytes[..], &sum.to_le_bytes()].concat()
    }

    #[test]
    fn files_of_version_1_are_read_too() {
        let bytes = said(&[7, 300, 2, 5, 3, 2]);
        let said = read(&bytes, 1).expect("whole");
        assert_eq!((said.name, said.first_revision, said.before, said.deleted), ("s", 7, 300, None));
        assert_eq!(said.events(), Some(vec![3, 5]));
        assert_eq!((said.next_revision(), said.last(1000)), (9, 1005));
    }

    #[test]
    fn a_stream_that_was_deleted_has_no_newest_event_until_it_goes_on() {
        let gone = said(&[7, 0, 2, 5, 9, 1006, 3, 2]);
        let gone = read(&gone, 2).expect("whole");
        assert_eq!((gone.next_revision(), gone.last(1000)), (9, 0));
        assert_eq!(gone.deleted.map(|deleted| (deleted.below, deleted.at)), Some((9, 1006)));
        let goes_on = said(&[7, 0, 3, 8, 9, 1006, 3, 2, 3]);
        assert_eq!(read(&goes_on, 2).expect("whole").last(1000), 1008);
    }
}
