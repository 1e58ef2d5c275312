//! SQLite.
//!
//! - [`changes`]: changes of its tables as events.

pub mod changes;
