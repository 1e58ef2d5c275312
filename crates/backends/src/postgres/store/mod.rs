//! An event store in a PostgreSQL database.
//!
//! **Order.** A position is the number of the transaction that has appended (`xid8`) and the event's place within it. A
//! reader returns only what transactions have appended that are older than all which are open
//! (`pg_snapshot_xmin`), so none can commit later behind it: nothing is skipped, and no table is locked for that. The
//! price is that a writing transaction which is left open, anywhere on the server, holds readers up; appends go on.
//! Appends to one stream take turns by an advisory lock that is taken *before* the transaction gets its number, so
//! that numbers ascend with the revisions of a stream. An append on the condition
//! [`NoneMatching`](steadfast_core::store::Condition::NoneMatching) takes turns with all others.
//!
//! **Durability.** `Durable` and `Written` commit with `synchronous_commit=on`, for what the server has not synced is
//! lost when the *server* dies; `Accepted` with `off`. A server that runs with `fsync=off` is declared as able to do
//! [`Accepted`](steadfast_core::store::Durability::Accepted) only.
//!
//! **Copies.** Transaction numbers begin anew in a database that was restored from a dump. When the store is opened it
//! looks for positions that the server has not reached yet, and adds as much to each number from then on.
//!
//! **Tables** and functions, which migrate when the store is opened, have names that begin with `steadfast_`.

mod append;
mod delete;
mod error;
mod horizon;
mod install;
mod open;
mod pool;
mod query;
mod row;
mod settings;

pub use open::PostgresStore;
pub use settings::Settings;
