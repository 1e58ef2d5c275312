use super::hash::hash;
use super::head::Head;
use crate::file::format::varint;
use crate::file::index::{Part, Streams};

/// What is said of one stream of a part, before the places of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    /// The revision of its first event here, and how many it has here.
    pub(super) first_revision: u64,
    pub(super) count: u64,
    /// The position of its newest event in an earlier part, 0 if there is none.
    pub(super) before: u64,
    /// Its newest event here, counted from 0.
    pub(super) last: u64,
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
    let mut before = 0;
    for event in events {
        varint::put(said, u64::from(event - before));
        before = *event;
    }
    let sum = crc32c::crc32c(&said[start..]);
    said.extend_from_slice(&sum.to_le_bytes());
}

/// Reads what is said of one stream; none if it is not whole.
pub(super) fn read(bytes: &[u8]) -> Option<Said<'_>> {
    let (said, sum) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(said) == u32::from_le_bytes(*sum)).then_some(())?;
    let mut rest = said;
    let length = usize::try_from(varint::take(&mut rest).ok()?).ok()?;
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    rest = &rest[length..];
    let mut number = || varint::take(&mut rest).ok();
    let (first_revision, before, count, last) = (number()?, number()?, number()?, number()?);
    Some(Said { name, first_revision, count, before, last, places: rest })
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

    /// Notes how the stream stands after the part whose first event is at `first`.
    pub(super) fn note(&self, first: u64, streams: &mut Streams) {
        streams.insert(self.name, self.first_revision + self.count, first + self.last);
    }
}
