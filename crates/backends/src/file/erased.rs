//! A note on the disk up to where all that was deleted is erased, so that nobody has to look for it again.
//!
//! It is derived and not synced: where it is missing, more is looked for than there is.

use std::io;
use std::path::PathBuf;

use steadfast_base::disk::OpenMode;

use super::segments::Segments;

const MAGIC: &[u8; 8] = b"STEADERA";
const LENGTH: usize = 32;
const VERSION: u8 = 1;

/// Up to where what was deleted is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Erased {
    pub(super) identity: u64,
    /// All that was deleted while an earlier position than this was due is erased.
    pub(super) position: u64,
}

impl Erased {
    /// Reads the note, if there is one that is whole and of the log called `identity`.
    pub(super) fn load(segments: &Segments, identity: u64) -> io::Result<Option<Self>> {
        let file = match segments.disk().open(&path(segments), OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = [0; LENGTH];
        let count = file.read_at(&mut bytes, 0)?;
        let eight = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let found = Self { identity: eight(16), position: eight(24) };
        Ok((count == LENGTH && found.encode() == bytes && found.identity == identity).then_some(found))
    }

    /// Puts the note in the place of the one before.
    pub(super) fn store(&self, segments: &Segments) -> io::Result<()> {
        let (disk, path) = (segments.disk(), path(segments));
        let unfinished = path.with_extension("new");
        remove(segments, &unfinished)?;
        disk.open(&unfinished, OpenMode::CreateNew)?.write_all_at(&self.encode(), 0)?;
        disk.rename(&unfinished, &path)
    }

    /// Removes the note, durably.
    pub(super) fn remove(segments: &Segments) -> io::Result<()> {
        remove(segments, &path(segments))?;
        segments.disk().sync_dir(segments.folder())
    }

    fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        bytes[16..24].copy_from_slice(&self.identity.to_le_bytes());
        bytes[24..].copy_from_slice(&self.position.to_le_bytes());
        let sum = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

fn path(segments: &Segments) -> PathBuf {
    segments.folder().join("erased")
}

fn remove(segments: &Segments, path: &std::path::Path) -> io::Result<()> {
    match segments.disk().remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
