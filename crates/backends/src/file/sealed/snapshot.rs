use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;

use steadfast_base::disk::OpenMode;
use steadfast_core::store::Error;

use super::encode::Said;
use super::file::PartFile;
use super::hash::hash;
use super::head::{broken, eight, four};
use crate::file::format::{VERSION, VERSION_MIN, varint};
use crate::file::index::{Deleted, Index};
use crate::file::segments::Segments;
use crate::file::shared::read_error;

const NAME: &str = "streams.idx";
const HEAD: usize = 64;
const MAGIC: &[u8; 8] = b"STEADSTR";
const SUMMED: usize = 56;

/// How every stream stands after the first parts: what would have to be gathered from all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::file) struct Snapshot {
    version: u8,
    identity: u64,
    /// The number of the last part that it covers, the position after that, and the checksum of its last frame.
    number: u32,
    next: u64,
    last_checksum: u32,
    /// How many streams there are.
    count: u64,
    /// The streams by hash and name.
    body: Vec<u8>,
}

/// A stream of a snapshot.
#[derive(Debug, Clone, Copy)]
struct Stands<'a> {
    hash: u64,
    name: &'a str,
    next_revision: u64,
    last: u64,
    deleted: Option<Deleted>,
}

impl Snapshot {
    /// Makes the snapshot of a log without events.
    pub(in crate::file) fn empty(identity: u64) -> Self {
        Self { version: VERSION, identity, number: 0, next: 1, last_checksum: 0, count: 0, body: Vec::new() }
    }

    /// The number of the last part that it covers, 0 if none.
    pub(in crate::file) fn number(&self) -> u32 {
        self.number
    }

    /// How many streams there are.
    pub(in crate::file) fn count(&self) -> u64 {
        self.count
    }

    /// Says whether `part` is the last one that it covers.
    pub(in crate::file) fn ends_with(&self, part: &PartFile) -> bool {
        (self.number, self.next, self.last_checksum) == (part.number(), part.next(), part.last_checksum())
    }

    /// Notes how each stream stands in an index that has none; none if that cannot be read.
    pub(in crate::file) fn note(&self, index: &mut Index) -> Option<()> {
        let mut rest = self.body.as_slice();
        index.streams.reserve(usize::try_from(self.count).ok()?.min(rest.len()));
        while !rest.is_empty() {
            let Stands { name, next_revision, last, deleted, .. } = take(&mut rest, self.version)?;
            index.note_new_stream(name, next_revision, last, deleted)?;
        }
        Some(())
    }

    /// Returns the snapshot that covers `part` too, which comes after what this one covers.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Damaged`] when one of the two is not whole.
    pub(super) fn with(&self, part: &PartFile, segments: &Segments) -> Result<Self, Error> {
        let bytes = part.streams(segments)?;
        let mut body = Vec::with_capacity(self.body.len() + bytes.len());
        let (mut rest, mut count) = (self.body.as_slice(), 0);
        let mut waiting = take(&mut rest, self.version);
        part.each_stream(&bytes, &mut |said: Said<'_>| {
            let mut newer = Stands {
                hash: hash(said.name),
                name: said.name,
                next_revision: said.next_revision(),
                last: said.last(part.first()),
                deleted: said.deleted,
            };
            while let Some(older) = waiting {
                match (older.hash, older.name).cmp(&(newer.hash, newer.name)) {
                    Ordering::Less => put(&mut body, older, &mut count),
                    Ordering::Equal => newer.deleted = newer.deleted.or(older.deleted),
                    Ordering::Greater => break,
                }
                waiting = take(&mut rest, self.version);
            }
            put(&mut body, newer, &mut count);
            Some(())
        })?;
        while let Some(older) = waiting {
            put(&mut body, older, &mut count);
            waiting = take(&mut rest, self.version);
        }
        if !rest.is_empty() {
            return Err(broken(NAME, "what it says of a stream is not whole"));
        }
        let (number, next, last_checksum) = (part.number(), part.next(), part.last_checksum());
        Ok(Self { version: VERSION, identity: self.identity, number, next, last_checksum, count, body })
    }

    /// Reads the one in the folder; none if there is none that is whole and of the log called `identity`. It blocks.
    pub(in crate::file) fn load(segments: &Segments, identity: u64) -> Result<Option<Self>, Error> {
        let file = match segments.disk().open(&path(segments), OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(read_error)?,
        };
        let mut head = [0; HEAD];
        let length = usize::try_from(file.length().map_err(read_error)?).unwrap_or_default();
        let Some(mut body) = length.checked_sub(HEAD).map(|length| vec![0; length]) else { return Ok(None) };
        let count = file.read_at(&mut head, 0).map_err(read_error)?
            + file.read_at(&mut body, HEAD as u64).map_err(read_error)?;
        body.truncate(count.saturating_sub(HEAD));
        let is_whole = head.starts_with(MAGIC)
            && (VERSION_MIN..=VERSION).contains(&head[8])
            && four(&head, SUMMED) == crc32c::crc32c(&head[..SUMMED])
            && eight(&head, 16) == identity
            && eight(&head, 40) == body.len() as u64
            && four(&head, 52) == crc32c::crc32c(&body);
        Ok(is_whole.then(|| Self {
            version: head[8],
            identity,
            number: four(&head, 12),
            next: eight(&head, 24),
            count: eight(&head, 32),
            last_checksum: four(&head, 48),
            body,
        }))
    }

    /// Makes the one in the folder end with the part `now`, if it ends with what that was `before`. It blocks.
    pub(super) fn adapt(segments: &Segments, before: &PartFile, now: &PartFile) -> Result<(), Error> {
        match Self::load(segments, before.identity())? {
            Some(snapshot) if snapshot.ends_with(before) => {
                let last_checksum = now.last_checksum();
                Self { last_checksum, ..snapshot }.store(segments).map_err(read_error)
            }
            _ => Ok(()),
        }
    }

    /// Puts it into the folder, in the place of the one before. It blocks.
    pub(super) fn store(&self, segments: &Segments) -> io::Result<()> {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8] = self.version;
        head[12..16].copy_from_slice(&self.number.to_le_bytes());
        for (at, value) in
            [(16, self.identity), (24, self.next), (32, self.count), (40, self.body.len() as u64)]
        {
            head[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        head[48..52].copy_from_slice(&self.last_checksum.to_le_bytes());
        head[52..56].copy_from_slice(&crc32c::crc32c(&self.body).to_le_bytes());
        let sum = crc32c::crc32c(&head[..SUMMED]);
        head[SUMMED..SUMMED + 4].copy_from_slice(&sum.to_le_bytes());

        let (disk, path) = (segments.disk(), path(segments));
        let unfinished = path.with_extension("new");
        super::sealer::remove(disk, &unfinished)?;
        let file = disk.open(&unfinished, OpenMode::CreateNew)?;
        file.write_all_at(&[&head[..], &self.body].concat(), 0)?;
        disk.rename(&unfinished, &path)
    }
}

fn path(segments: &Segments) -> PathBuf {
    segments.folder().join(NAME)
}

fn take<'a>(bytes: &mut &'a [u8], version: u8) -> Option<Stands<'a>> {
    let (hash, mut rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(varint::take(&mut rest).ok()?).ok()?;
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    rest = &rest[length..];
    let (next_revision, last) = (varint::take(&mut rest).ok()?, varint::take(&mut rest).ok()?);
    // Nothing could be deleted when version 1 was written.
    let (below, at) = match version {
        1 => (0, 0),
        _ => (varint::take(&mut rest).ok()?, varint::take(&mut rest).ok()?),
    };
    let deleted = Deleted::in_file(below, at);
    *bytes = rest;
    Some(Stands { hash: u64::from_le_bytes(*hash), name, next_revision, last, deleted })
}

fn put(bytes: &mut Vec<u8>, stream: Stands<'_>, count: &mut u64) {
    bytes.extend_from_slice(&stream.hash.to_le_bytes());
    varint::put(bytes, stream.name.len() as u64);
    bytes.extend_from_slice(stream.name.as_bytes());
    varint::put(bytes, stream.next_revision);
    varint::put(bytes, stream.last);
    let (below, at) = stream.deleted.map_or((0, 0), |deleted| (deleted.below, deleted.at));
    varint::put(bytes, below);
    varint::put(bytes, at);
    *count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_says_two_things_of_a_stream_is_not_believed() {
        let stream = |name, last| Stands { hash: hash(name), name, next_revision: 1, last, deleted: None };
        let mut snapshot = Snapshot::empty(9);
        for (name, last) in [("a", 1), ("b", 2)] {
            put(&mut snapshot.body, stream(name, last), &mut snapshot.count);
        }
        snapshot.note(&mut Index::new(10)).expect("whole");
        put(&mut snapshot.body, stream("a", 3), &mut snapshot.count);
        assert!(snapshot.note(&mut Index::new(10)).is_none());
    }

    #[test]
    fn snapshots_of_version_1_are_read_too() {
        let mut body = Vec::new();
        for (name, next, last) in [(b'a', 3, 300), (b'b', 1, 200)] {
            body.extend_from_slice(&7_u64.to_le_bytes());
            body.extend_from_slice(&[1, name]);
            varint::put(&mut body, next);
            varint::put(&mut body, last);
        }
        let snapshot = Snapshot { version: 1, count: 2, body, ..Snapshot::empty(9) };
        let mut index = Index::new(10);
        snapshot.note(&mut index).expect("whole");
        let of = |stream: &str| (index.streams.of(stream).revision(), index.streams.of(stream).last);
        assert_eq!((of("a"), of("b")), ((Some(2), 300), (Some(0), 200)));
        assert_eq!(index.deletions.all().len(), 0);
    }
}
