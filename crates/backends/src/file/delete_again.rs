//! A note on the disk of streams that are deleted and that a repair is about to bring back: what says so stands behind
//! the damage, and is cut off with it.
//!
//! It is durable before anything is cut. Whoever opens the log next, the repair itself if it lives, deletes them again
//! before anybody reads or appends, and removes it then.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `STEADDEL` |
//! | 8 | version, 1; then zero up to 12 |
//! | 12..16 | CRC32C of all the others, with zeros in its place |
//! | 16..24 | identity of the log |
//! | 24.. | for each stream what a frame of deletions says of it |

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use steadfast_base::disk::OpenMode;
use steadfast_core::store::Error;

use super::format::deletion::Deletion;
use super::recovery::{damaged, opening};
use super::segments::Segments;

pub(super) const NAME: &str = "delete-again";
const MAGIC: &[u8; 8] = b"STEADDEL";
const HEAD: usize = 24;
const VERSION: u8 = 1;

/// Streams, and below which revision each of them is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeleteAgain {
    pub(super) identity: u64,
    pub(super) streams: BTreeMap<String, u64>,
}

impl DeleteAgain {
    /// Reads the note, if there is one of the log called `identity`; one of no streams if not.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not whole, [`Error::Io`].
    pub(super) fn load(segments: &Segments, identity: u64) -> Result<Self, Error> {
        let none = Self { identity, streams: BTreeMap::new() };
        let file = match segments.disk().open(&path(segments), OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none),
            file => file.map_err(opening)?,
        };
        let mut bytes = vec![0; file.length().and_then(to_usize).map_err(opening)?];
        let count = file.read_at(&mut bytes, 0).map_err(opening)?;
        bytes.truncate(count);
        let found = Self::decode(&bytes).ok_or_else(|| {
            let problem = "it is not whole; it names deleted streams that a repair has to delete again: restore it, or \
                           remove it and delete them yourself";
            damaged(format!("note {NAME}"), problem.to_owned())
        })?;
        Ok(if found.identity == identity { found } else { none })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Returns the names of the streams, sorted.
    pub(super) fn into_names(self) -> Vec<String> {
        self.streams.into_keys().collect()
    }

    /// Adds a stream that is deleted below a revision.
    pub(super) fn add(&mut self, stream: &str, below: u64) {
        let noted = self.streams.entry(stream.to_owned()).or_default();
        *noted = below.max(*noted);
    }

    /// Puts the note in the place of the one before, durably.
    pub(super) fn store(&self, segments: &Segments) -> io::Result<()> {
        let (disk, path) = (segments.disk(), path(segments));
        let unfinished = path.with_extension("new");
        match disk.remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.open(&unfinished, OpenMode::CreateNew)?;
        file.write_all_at(&self.encode(), 0)?;
        file.sync_data()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_dir(segments.folder())
    }

    /// Removes the note, durably, if there is one.
    pub(super) fn remove(segments: &Segments) -> io::Result<()> {
        match segments.disk().remove(&path(segments)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        segments.disk().sync_dir(segments.folder())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        bytes[16..24].copy_from_slice(&self.identity.to_le_bytes());
        for (stream, below) in &self.streams {
            Deletion { stream, below: *below }.put(&mut bytes);
        }
        let sum = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_first_chunk::<HEAD>()?;
        let identity = u64::from_le_bytes(*head.last_chunk()?);
        let mut found = Self { identity, streams: BTreeMap::new() };
        while !rest.is_empty() {
            let deletion = Deletion::take(&mut rest).ok()?;
            found.add(deletion.stream, deletion.below);
        }
        (found.encode() == bytes).then_some(found)
    }
}

fn path(segments: &Segments) -> PathBuf {
    segments.folder().join(NAME)
}

fn to_usize(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use steadfast_base::disk::RealDisk;
    use steadfast_core::Event;
    use steadfast_core::store::{Batch, Condition, Durability, EventStore};

    use super::*;
    use crate::file::{Config, FileLog, survey};

    #[tokio::test]
    async fn a_survey_tells_what_is_to_be_deleted_again_until_that_is_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config { segment_size: "64KiB".parse().expect("a size"), ..Config::default() };
        let log = FileLog::open(folder.path(), config.clone()).expect("open");
        for stream in ["customer-1", "customer-2"] {
            let batch = Batch::to_stream(stream, [Event::new("/customers", "customer.named").build()]);
            log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
        }
        let identity = log.shared.state().identity;
        log.close().await.expect("closed");
        drop(log);
        assert!(survey(folder.path()).expect("read").to_delete_again.is_empty());

        let segments = Segments::new(Arc::new(RealDisk), folder.path().to_owned());
        let mut note = DeleteAgain { identity, streams: BTreeMap::new() };
        note.add("customer-1", 1);
        note.store(&segments).expect("stored");
        let found = survey(folder.path()).expect("read");
        assert_eq!((found.to_delete_again, found.events), (vec!["customer-1".to_owned()], 2));

        drop(FileLog::open(folder.path(), config).expect("open"));
        let found = survey(folder.path()).expect("read");
        assert_eq!((found.to_delete_again.len(), found.events, found.deleted), (0, 1, 1));

        std::fs::write(path(&segments), b"STEADDEL").expect("written");
        let found = survey(folder.path()).expect("read");
        let damages: Vec<&str> = found.damages.iter().map(|damage| damage.segment.as_str()).collect();
        assert_eq!((damages, found.damages[0].position), (vec![NAME], 3));
        // Not a file, so that it cannot be read.
        std::fs::remove_file(path(&segments)).expect("removed");
        std::fs::create_dir(path(&segments)).expect("made");
        let found = survey(folder.path()).expect("read all the same");
        assert!(found.damages[0].problem.starts_with("it cannot be read"), "{:?}", found.damages);
    }

    #[test]
    fn a_note_round_trips_and_every_flipped_bit_is_caught() {
        let mut note = DeleteAgain { identity: 7, streams: BTreeMap::new() };
        note.add("customer-1", 3);
        note.add("customer-2", 300);
        note.add("customer-1", 2);
        let bytes = note.encode();
        assert_eq!(DeleteAgain::decode(&bytes), Some(note));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(DeleteAgain::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(DeleteAgain::decode(&bytes[..bytes.len() - 1]), None);
    }
}
