//! Changes of tables as events, also those that other processes make and that were made while nobody received.
//!
//! Triggers write each change of a watched table into one change table, in the transaction that makes it; a receiver
//! reads that table in order. There is one change table for all watched tables, so that order is kept between tables
//! too. SQLite lets one transaction write at a time, so that the numbers of changes follow the order of commits and no
//! reader can pass one that is still open.
//!
//! | table | holds |
//! |---|---|
//! | `steadfast_changes` | the changes that not all groups have handled |
//! | `steadfast_groups` | up to where each group has handled them |
//! | `steadfast_meta` | the format's version and the database's identity |
//!
//! **A group** has one active receiver at a time; others of the same group stand by, in whatever process, and the next
//! goes on when it closes or dies. That is told by a lock on a file beside the database, which the operating system
//! gives up with the process. Each group gets all changes. Since one receiver does all the work of its group, the source does
//! not declare [`groups`](steadfast_core::transport::Capabilities::groups).
//!
//! **The event**: type `sqlite.row.inserted`, `.updated` or `.deleted`; the subject is table and key, such as
//! `orders/7`; the data is a [`Change`](crate::change::Change); the extension `sequence` is the change's number; the
//! identity is derived from database and number, so that an inbox recognises an event that is received again.
//!
//! **A reader is woken** by [`Changes::wake_on`] for a connection of its own process, and by `PRAGMA data_version`,
//! asked each [`Config::poll`], for all others.
//!
//! # Limits
//! - `INSERT OR REPLACE` fires no deletion for the row it replaces unless the writer sets `PRAGMA recursive_triggers =
//!   ON`; the insertion is told in any case.
//! - When a column is added, the triggers are made anew as soon as a receiver notices, at the next poll; rows changed
//!   before that lack the column. A column cannot be dropped while triggers name it: call [`Changes::uninstall`] first,
//!   and [`Changes::install`] after.
//! - Changes are deleted once all groups have handled them, by whichever receiver is open. A group that is gone for good
//!   keeps them until [`Changes::forget_group`], or until [`Config::backlog_max`] if another group has a receiver: watch
//!   [`Changes::backlog`]. Where no group exists nothing is ever handled: install when the first group subscribes, or
//!   soon before.
//! - All sources of a group should watch the same tables: what one of them passes over is handled for the group. When a
//!   table is added, close the receivers that do not know it before it is written to.
//! - The database must be a file on a local disk.

mod config;
mod error;
mod event;
mod inbox;
mod install;
mod lock;
mod source;
mod store;
mod triggers;
mod worker;

pub use config::Config;
pub use source::Changes;
