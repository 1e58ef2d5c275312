//! The file log: an event store in a folder, for one process.
//!
//! ```text
//! appenders ──lock──> group ──swap──> writer thread: write, answer Written, fdatasync, answer Durable
//!                       │                  │
//!                     index ──────────> readers (positions up to the newest written one)
//! ```
//! Appenders encode their batch into the group that waits, check their condition against the index, and give the
//! batch its position and its place, all under one short lock that is never held over I/O. The writer takes the
//! whole group and needs one `write` and one `fdatasync` for all of it. The index is derived: it is never written
//! and is rebuilt when the log is opened.

mod answer;
mod config;
mod format;
mod group;
mod index;
mod log;
mod prepare;
mod reader;
mod recovery;
mod segments;
mod shared;
mod state;
mod window;
mod writer;

pub use config::Config;
pub use log::FileLog;
