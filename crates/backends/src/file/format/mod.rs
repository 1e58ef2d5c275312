//! How bytes lie on the disk, version 1; described for readers in `docs/file-log-format.md`.

pub(super) mod frame;
pub(super) mod names;
mod offset;
pub(super) mod raw;
pub(super) mod record;
pub(super) mod segment;
pub(super) mod varint;

pub(super) use offset::Offset;

/// The version that this program writes, and the only one so far.
pub(super) const VERSION: u8 = 1;
