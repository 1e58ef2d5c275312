//! Aggregates by name: loaded from their streams, changed by commands, kept in a cache with a memory bound.
//!
//! A command is decided on the newest state this process knows, and appended on the condition that the stream still
//! stands there. Where another process was faster, the rest of the stream is read and the command decided anew, a
//! bounded number of times. Commands on one aggregate take turns; those on different ones do not wait for each other.
//!
//! A command that carries a [key](Cause::key) is recognised when it is repeated: the key stands in the events that it
//! caused, so it is kept as long as they are, and found by every process.

mod cache;
mod cause;
mod codec;
mod entry;
mod error;
mod execute;
mod executed;
mod known;
mod load;
mod metrics;
mod probe;
mod settings;
mod snapshots;
mod state;
#[cfg(test)]
mod tests;

pub use cause::Cause;
pub use codec::EventCodec;
pub use codec::JsonEvents;
pub use error::Error;
pub use error::LoadError;
pub use execute::Repository;
pub use executed::Executed;
pub use metrics::RepositoryMetrics;
pub use probe::Probe;
pub use settings::Settings;
pub use settings::Snapshotting;
