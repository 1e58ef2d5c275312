//! Views in tables of a SQLite database.
//!
//! A view's tables, and up to where events are in them, change in one transaction: each event counts once, whatever is
//! killed when. `steadfast_projections` holds the positions and the versions of tables, `steadfast_skipped` the events
//! that were passed and why.
//!
//! Several processes may follow the same projection: their batches take turns, and who comes second leaves out what the
//! first has applied meanwhile. A database that is restored from a copy while it is followed gets what it lacks: each
//! batch says which position it follows.
//!
//! The database may hold the [event store](super::store) too, or anything else.
//!
//! **Migrations.** The tables of a view are made by a list of SQL, each of which is run once. What is only added to them,
//! such as an index, is one more in the list. Where their rows would have to be made of the events again, open a second
//! view with a name and tables of its own, and [rebuild](steadfast_core::projection::Projector::rebuild) it beside the
//! first.

mod config;
mod place;
mod tables;

pub use config::Config;
pub use tables::SqliteView;
