//! The index of finished segments, on the disk: made when a segment is full, so that opening a log need not read it
//! again and memory does not grow with the log. All of it is derived. It is never synced: what is not whole is made
//! again.

mod encode;
mod file;
mod hash;
mod head;
mod sealer;
mod snapshot;

pub(super) use file::PartFile;
pub(super) use file::path;
pub(super) use sealer::Sealed;
pub(super) use sealer::Sealer;
pub(super) use snapshot::Snapshot;
