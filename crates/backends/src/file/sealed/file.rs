use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steadfast_base::disk::{DiskFile, OpenMode};
use steadfast_core::store::Error;

use super::encode::{Said, read};
use super::hash::hash;
use super::head::{ENTRY, HEAD, Head, MARK, broken, eight, four};
use crate::file::format::Offset;
use crate::file::format::archive::Archive;
use crate::file::format::frame;
use crate::file::index::{BEGINS, ENDS, Ids, Index, Mark, Place, UNKNOWN};
use crate::file::segments::{Segments, Start};
use crate::file::shared::read_error;

/// How many bytes of the table of streams are read at once.
const LOOK: u64 = 8 << 10;

/// The index of a finished segment, on the disk.
#[derive(Debug)]
pub(in crate::file) struct PartFile {
    path: PathBuf,
    head: Head,
    marks: Arc<[Mark]>,
}

/// Where the events of a stream are in a part.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::file) struct Found {
    /// Their positions.
    pub(in crate::file) positions: Vec<u64>,
    /// The position of the newest event of the stream in an earlier part, 0 if there is none.
    pub(in crate::file) before: u64,
    /// The revision of its first event in this part.
    pub(in crate::file) first_revision: u64,
    /// The revision below which the stream had been deleted when the part was finished.
    deleted: u64,
}

/// The file of segment `number`.
pub(in crate::file) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.idx"))
}

impl PartFile {
    /// Opens the file of segment `number` of the log called `identity`. None if there is no such file that is whole and
    /// belongs to the segment as it is.
    pub(in crate::file) fn open(segments: &Segments, number: u32, identity: u64) -> io::Result<Option<Self>> {
        let path = path(segments.folder(), number);
        let file = match segments.disk().open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = [0; HEAD];
        let count = file.read_at(&mut bytes, 0)?;
        let Some(head) = Head::decode(&bytes[..count]) else { return Ok(None) };
        if head.number != number || head.identity != identity || head.length() != file.length()? {
            return Ok(None);
        }
        let mut bytes = vec![0; head.marks as usize * MARK];
        let count = file.read_at(&mut bytes, HEAD as u64)?;
        if count != bytes.len() || crc32c::crc32c(&bytes) != head.marks_checksum {
            return Ok(None);
        }
        let marks = bytes.chunks_exact(MARK);
        let marks = marks.map(|mark| Mark { event: four(mark, 0), byte: four(mark, 4) }).collect();
        let part = Self { path, head, marks };
        Ok(part.fits(segments)?.then_some(part))
    }

    /// Says whether the segment ends with the frame that it ended with when the file was made, or is the archive that
    /// was noted, whose table then need not be read.
    fn fits(&self, segments: &Segments) -> io::Result<bool> {
        let (start, end) = (self.head.last_frame, self.head.end);
        if start == end {
            return Ok(false);
        }
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        let count = match segments.start(self.head.number)? {
            (Start::Archived(Some(archive)), _) if self.is_of(&archive) => return Ok(true),
            (Start::Archived(_), _) => {
                segments.reader(self.head.number)?.read_at(&mut bytes, start.into())?
            }
            (Start::Plain(_), file) => file.read_at(&mut bytes, start.into())?,
        };
        let at = Offset::new(self.head.number, start);
        let frame = frame::parse(&bytes[..count], self.head.identity, at);
        Ok(frame::checksum_of(&bytes) == Some(self.head.last_checksum)
            && frame.is_ok_and(|frame| {
                frame.length == bytes.len() && frame.first + u64::from(frame.count) == self.next()
            }))
    }

    /// Says whether `archive` is the one that was noted. The checksum of its table is one of all that it holds.
    fn is_of(&self, archive: &Archive) -> bool {
        let Head { number, identity, end, archive: noted, .. } = self.head;
        noted == Some(archive.table_checksum)
            && (number, identity, end) == (archive.number, archive.identity, archive.end)
    }

    /// Makes the file fit the segment, which was written anew and whose last frame has this checksum now, and returns it;
    /// none if it fits as it is. It blocks.
    pub(in crate::file) fn adapt(
        &self,
        segments: &Segments,
        last_checksum: u32,
    ) -> Result<Option<Self>, Error> {
        let archive = match segments.start(self.head.number).map_err(read_error)? {
            (Start::Archived(Some(archive)), _) => Some(archive.table_checksum),
            _ => None,
        };
        let head = Head { last_checksum, archive, ..self.head };
        if head == self.head {
            return Ok(None);
        }
        let file = self.reopen(segments)?;
        let mut bytes = self.take(&*file, 0, self.head.length() as u32)?;
        bytes[..HEAD].copy_from_slice(&head.encode());
        let (disk, unfinished) = (segments.disk(), self.path.with_extension("new"));
        super::sealer::remove(disk, &unfinished)
            .and_then(|()| disk.open(&unfinished, OpenMode::CreateNew))
            .and_then(|file| file.write_all_at(&bytes, 0))
            .and_then(|()| disk.rename(&unfinished, &self.path))
            .map_err(read_error)?;
        let adapted = Self { path: self.path.clone(), head, marks: Arc::clone(&self.marks) };
        if last_checksum != self.head.last_checksum {
            super::Snapshot::adapt(segments, self, &adapted)?;
        }
        Ok(Some(adapted))
    }

    pub(in crate::file) fn number(&self) -> u32 {
        self.head.number
    }

    /// The position of its first event.
    pub(in crate::file) fn first(&self) -> u64 {
        self.head.first
    }

    /// The position after its last event.
    pub(in crate::file) fn next(&self) -> u64 {
        self.head.first + self.head.events
    }

    /// How many events it has, and how many streams.
    pub(in crate::file) fn counts(&self) -> (u64, u64) {
        (self.head.events, self.head.streams.into())
    }

    /// Where the segment's last frame ends.
    pub(in crate::file) fn end(&self) -> Offset {
        Offset::new(self.head.number, self.head.end)
    }

    /// The identity of the log.
    pub(super) fn identity(&self) -> u64 {
        self.head.identity
    }

    /// The checksum of the segment's last frame.
    pub(super) fn last_checksum(&self) -> u32 {
        self.head.last_checksum
    }

    pub(in crate::file) fn checkpoints(&self) -> Arc<[Mark]> {
        Arc::clone(&self.marks)
    }

    /// Finds the events of `stream`, which has some here, without those that were deleted in this part. It blocks.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Damaged`] when the file is not as it was.
    pub(in crate::file) fn find(&self, segments: &Segments, stream: &str) -> Result<Found, Error> {
        let mut found = self.look_for(segments, stream)?.ok_or_else(|| self.broken("a stream is missing"))?;
        let gone = found.deleted.saturating_sub(found.first_revision) as usize;
        found.positions.drain(..gone.min(found.positions.len()));
        Ok(found)
    }

    /// Returns the revision of the event at `position` if it is one of `stream`. It blocks.
    ///
    /// # Errors
    /// As [`PartFile::find`].
    pub(in crate::file) fn revision_at(
        &self,
        segments: &Segments,
        stream: &str,
        position: u64,
    ) -> Result<Option<u64>, Error> {
        let found = self.look_for(segments, stream)?;
        Ok(found.and_then(|found| {
            found.positions.binary_search(&position).ok().map(|at| found.first_revision + at as u64)
        }))
    }

    /// Finds all events of `stream`, also those that were deleted since; none if it has none here. It blocks.
    ///
    /// # Errors
    /// As [`PartFile::find`].
    pub(in crate::file) fn look_for(
        &self,
        segments: &Segments,
        stream: &str,
    ) -> Result<Option<Found>, Error> {
        let file = self.reopen(segments)?;
        let wanted = hash(stream);
        for index in self.candidates(&*file, wanted)? {
            let entry = self.take(&*file, self.head.table_at() + index * ENTRY as u64, ENTRY as u32)?;
            let at = self.head.streams_at() + u64::from(four(&entry, 8));
            let bytes = self.take(&*file, at, four(&entry, 12).min(self.head.streams_bytes))?;
            let said = read(&bytes, self.head.version)
                .ok_or_else(|| self.broken("what it says of a stream is not whole"))?;
            if said.name == stream {
                let events =
                    said.events().ok_or_else(|| self.broken("what it says of a stream is not whole"))?;
                let positions = events.into_iter().map(|event| self.head.first + event).collect();
                let Said { first_revision, before, deleted, .. } = said;
                let deleted = deleted.map_or(0, |deleted| deleted.below);
                return Ok(Some(Found { positions, before, first_revision, deleted }));
            }
        }
        Ok(None)
    }

    /// Returns which entries of the table have the hash `wanted`. Hashes are spread evenly, so they are looked for where
    /// they should be, and around there.
    fn candidates(&self, file: &dyn DiskFile, wanted: u64) -> Result<std::ops::Range<u64>, Error> {
        let count = u64::from(self.head.streams);
        let each = ENTRY as u64;
        let guess = ((u128::from(wanted) * u128::from(count)) >> 64) as u64;
        let width = LOOK / each;
        let (mut start, mut end) =
            (guess.saturating_sub(width / 2), (guess.saturating_sub(width / 2) + width).min(count));
        loop {
            let bytes =
                self.take(file, self.head.table_at() + start * each, ((end - start) * each) as u32)?;
            let hashes: Vec<u64> = bytes.chunks_exact(ENTRY).map(|entry| eight(entry, 0)).collect();
            let (lower, upper) = (
                hashes.partition_point(|hash| *hash < wanted),
                hashes.partition_point(|hash| *hash <= wanted),
            );
            let (before, behind) = (lower == 0 && start > 0, upper == hashes.len() && end < count);
            if !before && !behind {
                return Ok(start + lower as u64..start + upper as u64);
            }
            if before {
                start = start.saturating_sub((end - start) * 2);
            }
            if behind {
                end = (end + (end - start) * 2).min(count);
            }
        }
    }

    /// Notes how each of its streams stands after this part. It blocks.
    pub(in crate::file) fn note_streams(&self, segments: &Segments, index: &mut Index) -> Result<(), Error> {
        let bytes = self.streams(segments)?;
        self.each_stream(&bytes, &mut |said| {
            said.note(self.head.first, index);
            Some(())
        })
    }

    /// Adds the identities of its newest `wanted` events to `ids`. It blocks.
    pub(in crate::file) fn note_ids(
        &self,
        segments: &Segments,
        wanted: u64,
        ids: &mut Ids,
    ) -> Result<(), Error> {
        let count = self.head.events as usize;
        let bytes = self.take(&*self.reopen(segments)?, self.head.ids_at(), (count * 17) as u32)?;
        if crc32c::crc32c(&bytes) != self.head.ids_checksum {
            return Err(self.broken("the identities are not whole"));
        }
        let (identities, edges) = bytes.split_at(count * 16);
        let skipped = self.head.events.saturating_sub(wanted) as usize;
        for (at, id) in identities.as_chunks::<16>().0.iter().enumerate().skip(skipped) {
            let (stream, revision) = (UNKNOWN, 0);
            let (first, last) = (edges[at] & BEGINS != 0, edges[at] & ENDS != 0);
            let position = self.head.first + at as u64;
            ids.add(u128::from_le_bytes(*id), Place { position, first, last, stream, revision });
        }
        Ok(())
    }

    /// Reads the table of streams and what is said of them.
    pub(super) fn streams(&self, segments: &Segments) -> Result<Vec<u8>, Error> {
        let length = self.head.ids_at() - self.head.table_at();
        let bytes = self.take(&*self.reopen(segments)?, self.head.table_at(), length as u32)?;
        if crc32c::crc32c(&bytes) != self.head.streams_checksum {
            return Err(self.broken("the streams are not whole"));
        }
        Ok(bytes)
    }

    /// Calls `each` with what [`PartFile::streams`] has read of each stream, in the order of their hashes.
    pub(super) fn each_stream(
        &self,
        bytes: &[u8],
        each: &mut dyn FnMut(Said<'_>) -> Option<()>,
    ) -> Result<(), Error> {
        let (table, said) = bytes.split_at(self.head.streams as usize * ENTRY);
        let mut all = || {
            for entry in table.chunks_exact(ENTRY) {
                let (start, length) = (four(entry, 8) as usize, four(entry, 12) as usize);
                each(read(said.get(start..start.checked_add(length)?)?, self.head.version)?)?;
            }
            Some(())
        };
        all().ok_or_else(|| self.broken("what it says of a stream is not whole"))
    }

    fn reopen(&self, segments: &Segments) -> Result<Box<dyn DiskFile>, Error> {
        segments.disk().open(&self.path, OpenMode::Read).map_err(read_error)
    }

    fn take(&self, file: &dyn DiskFile, at: u64, length: u32) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length as usize];
        match file.read_at(&mut bytes, at).map_err(read_error)? {
            count if count == bytes.len() => Ok(bytes),
            _ => Err(self.broken("it is cut off")),
        }
    }

    fn broken(&self, problem: &str) -> Error {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        broken(&name, problem)
    }
}
