//! SQLite.
//!
//! - [`store`]: an event store.
//! - [`changes`]: changes of its tables as events.

pub mod changes;
pub mod store;

/// The driver whose connections [`Changes::wake_on`](changes::Changes::wake_on) takes.
pub use rusqlite;
