//! Event stores, transports and adapters, one folder per outside system and one feature each.
//!
//! - `file` (default): [`file::FileLog`], an event store in a folder.

#[cfg(feature = "file")]
pub mod file;
