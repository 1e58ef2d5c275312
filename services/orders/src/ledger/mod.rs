//! Aggregates kept in one event log: rebuilt at start, changed one command at a time per aggregate.

mod locks;
mod recorded;
mod repository;

pub use locks::Crowded;
pub use locks::Held;
pub use locks::Locks;
pub use recorded::Recorded;
pub use repository::Error;
pub use repository::Repository;
pub use repository::Session;
