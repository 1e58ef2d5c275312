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
//! **Durability.** Every append commits with `synchronous_commit=on`, and so is `Durable` whatever it asks for. With
//! `off` an event can be read before the server has written it, and when the *server* dies then, it is gone and its
//! transaction's number is given again. A server that runs with `fsync=off` is declared as able to do
//! [`Accepted`](steadfast_core::store::Durability::Accepted) only. `full_page_writes=off` is not looked at: where the file
//! system may tear a page, the loss of power damages what was there before.
//!
//! **Isolation** is `read committed` on each connection, whatever the role or the database says: a condition must see
//! what was committed while its append waited for its turn.
//!
//! **Copies.** Transaction numbers begin anew in a database that was restored from a dump. When the store is opened it
//! looks for positions that the server has not reached yet, and adds as much to each number from then on.
//!
//! **Going back.** A server that comes back with less than it had, after a fail-over to a replica that lagged or a
//! recovery to a point in time, gives the numbers of lost transactions again. This is not noticed. Whoever keeps a
//! position elsewhere and has passed a lost event passes over what stands at its place now; a
//! [view](crate::postgres::view) in the same database goes back with it. Have a replica confirm commits
//! (`synchronous_standby_names`) before it may take over, and rebuild what keeps positions elsewhere after a recovery.
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
