//! Views in tables of a PostgreSQL database.
//!
//! A view's tables, and up to where events are in them, change in one transaction: each event counts once, whatever is
//! killed when. `steadfast_projections` holds the positions and the versions of tables, `steadfast_skipped` the events
//! that were passed and why. The database may hold the [event store](super::store) too, or anything else.
//!
//! **Several processes** may follow the same projection. Each batch locks the row of its position first, so batches take
//! turns; who comes second leaves out what the first has applied meanwhile. They share no work, but when one dies the
//! others go on at once, without a lease that must run out.
//!
//! **Going back.** A server that runs with `fsync=off` and loses power, or a database restored from a backup, may lack
//! what was applied. Each batch says which position it follows; where the database is before that, nothing is applied,
//! and the projector brings the events from where the database is.
//!
//! **Migrations.** The tables of a view are made by a list of SQL, each of which is run once. What is only added to them,
//! such as an index, is one more in the list. Where their rows would have to be made of the events again, open a second
//! view with a name and tables of its own, [rebuild](steadfast_core::projection::Projector::rebuild) it beside the first,
//! and then let those who read by SQL follow: `CREATE OR REPLACE VIEW orders AS SELECT * FROM orders_2`.

mod place;
mod settings;
mod tables;

pub use settings::Settings;
pub use tables::PostgresView;
