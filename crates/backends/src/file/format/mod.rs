//! How bytes lie on the disk; described for readers in `docs/file-log-format.md`.

pub(super) mod archive;
pub(super) mod deletion;
pub(super) mod frame;
pub(super) mod names;
mod offset;
pub(super) mod raw;
pub(super) mod record;
pub(super) mod segment;
pub(super) mod varint;

pub(super) use offset::Offset;

/// The version that this program writes. Version 1 had no deletions; an archived segment has a version of its own.
pub(super) const VERSION: u8 = 2;
/// The oldest version that this program reads.
pub(super) const VERSION_MIN: u8 = 1;
