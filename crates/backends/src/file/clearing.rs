//! A note on the disk that a torn tail is being cleared, and that it may not be yet.
//!
//! When the sync of the zeros fails, they are seen from then on and need not be durable: what was cut may come back
//! with the next loss of power, behind frames that were appended meanwhile. So the note is made durable before, and
//! removed after the sync has succeeded; whoever finds it clears all of the segment's rest again.

use std::io;
use std::path::PathBuf;

use steadfast_base::disk::OpenMode;

use super::segments::Segments;

#[derive(Debug)]
pub(super) struct Clearing<'a> {
    segments: &'a Segments,
    note: PathBuf,
}

impl<'a> Clearing<'a> {
    pub(super) fn new(segments: &'a Segments) -> Self {
        Self { segments, note: segments.folder().join("clearing") }
    }

    /// Says whether an earlier clearing was not finished.
    pub(super) fn has_begun(&self) -> io::Result<bool> {
        match self.segments.disk().open(&self.note, OpenMode::Read) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the note durable, if it is not there.
    pub(super) fn begin(&self, is_there: bool) -> io::Result<()> {
        if !is_there {
            self.segments.disk().open(&self.note, OpenMode::CreateNew)?;
        }
        self.segments.disk().sync_dir(self.segments.folder())
    }

    /// Removes the note.
    pub(super) fn end(&self) -> io::Result<()> {
        self.segments.disk().remove(&self.note)?;
        self.segments.disk().sync_dir(self.segments.folder())
    }
}
