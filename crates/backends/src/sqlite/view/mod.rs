//! Views in tables of a SQLite database.
//!
//! A view's tables, and up to where events are in them, change in one transaction: each event counts once, whatever is
//! killed when. `steadfast_projections` holds the positions, `steadfast_skipped` the events that were passed and why.
//! Several processes may follow the same projection: their batches take turns, and who comes second leaves out what the
//! first has applied meanwhile. A database that is restored from a copy while it is followed gets what it lacks: each
//! batch says which position it follows.
//!
//! The database may hold the [event store](super::store) too, or anything else.

mod config;
mod place;
mod tables;

pub use config::Config;
pub use tables::SqliteView;
