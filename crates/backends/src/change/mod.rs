//! Database changes as events, in one format for all databases, and what their sources share.
//!
//! The data of such an event is a [`Change`] as JSON; its subject names table and row, so that it is the key by
//! which order is kept.

pub(crate) mod feed;
mod identity;
mod model;

pub(crate) use identity::identity;
pub use model::Change;
pub use model::Operation;
pub use model::Row;
pub(crate) use model::subject;
