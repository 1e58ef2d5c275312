//! The file log: an event store in a folder, for one process.
//!
//! ```text
//! appenders ──lock──> group ──swap──> writer thread: write, answer Written, fdatasync, answer Durable
//!                       │                  │
//!                     index ──────────> readers (positions up to the newest written one)
//! ```
//! Appenders encode their batch into the group that waits, check their condition against the index, and give the
//! batch its position and its place, all under one short lock that is never held over I/O. The writer takes the
//! whole group and needs one `write` and one `fdatasync` for all of it. The index is derived: what it says of a finished
//! segment moves into a file, which is never synced and made again where it is not whole; the rest is in memory and is
//! rebuilt when the log is opened.
//!
//! [`FileLogReader`] follows a log from another process, [`survey`] looks at all of one and changes nothing, and
//! [`repair`] cuts off what is behind the first damage.

mod answer;
mod archive;
mod archived;
mod block;
mod buffers;
mod clearing;
mod compress;
mod config;
mod delete;
mod delete_again;
mod erase;
mod erased;
mod follower;
mod format;
mod group;
mod index;
mod log;
mod prepare;
mod progress;
mod read_only;
mod reader;
mod recovery;
mod repair;
mod replay;
mod rewrite;
mod sealed;
mod segments;
mod shared;
mod sparse;
mod state;
mod streaming;
mod survey;
mod trail;
mod window;
mod writer;

pub use archive::Archival;
pub use config::Config;
pub use erase::Erasure;
pub use log::FileLog;
pub use read_only::FileLogReader;
pub use repair::Repaired;
pub use repair::repair;
pub use repair::repair_on;
pub use replay::EventRef;
pub use replay::Page;
pub use replay::PageEvents;
pub use replay::Replay;
pub use survey::Damage;
pub use survey::SegmentSurvey;
pub use survey::StreamSurvey;
pub use survey::Survey;
pub use survey::TornTail;
pub use survey::survey;
pub use survey::survey_on;
