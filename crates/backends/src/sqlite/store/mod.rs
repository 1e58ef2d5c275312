//! An event store in a SQLite database.
//!
//! **Durability.** The journal is a write-ahead log. An append that asks for `Durable` is committed with
//! `synchronous=FULL`, which syncs the log before the commit returns; one that asks for less with `NORMAL`, which leaves
//! it to the operating system. Appends that wait at the same time share one transaction and one sync, at the level of
//! the one that asks for most.
//!
//! **Order.** Positions are given under SQLite's write lock, which there is one of: they become visible in order, and a
//! reader never passes one behind which an event appears later. Several processes may append and read; those of other
//! processes are noticed within [`Config::poll`].
//!
//! **Tables**, which migrate when the store is opened: `steadfast_events` (one row for each event, attributes in columns
//! of their own), `steadfast_streams`, `steadfast_gone` (the identities of events that were deleted) and
//! `steadfast_log` (the next position, the version of the format). Deleting overwrites what was there
//! (`secure_delete`), and empties the write-ahead log before it returns; while somebody reads at that moment, soon after.

mod append;
mod config;
mod error;
mod open;
mod query;
mod queue;
mod readers;
mod row;
mod schema;
mod writer;

pub use config::Config;
pub use open::SqliteStore;
