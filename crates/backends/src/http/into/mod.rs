//! Sinks within this process, so that an intake can hand events to them.

mod store;
mod topic;

pub use store::StoreSink;
pub use topic::TopicSink;
