//! SQLite.
//!
//! - [`store`]: an event store.
//! - [`view`]: views that projections keep in tables.
//! - [`changes`]: changes of its tables as events.

pub mod changes;
mod journal;
pub mod store;
pub mod view;

/// The driver whose connections [`Changes::wake_on`](changes::Changes::wake_on) takes.
pub use rusqlite;
