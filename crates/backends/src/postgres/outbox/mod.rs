//! A table that an application writes events to in its own transactions, where replication is not allowed or a change
//! of a table does not say enough.
//!
//! An event is there exactly if its transaction was committed. [`Outbox`] is the source that drains the table,
//! [`Outbox::append`] what an application calls within a transaction; plain SQL does as well:
//!
//! ```sql
//! INSERT INTO steadfast_outbox (event) VALUES (json_build_object('specversion', '1.0', 'id', gen_random_uuid(),
//!     'source', '/shop', 'type', 'order.paid', 'subject', 'order-7', 'data', json_build_object('total', 5)));
//! ```
//!
//! The column `event` holds a CloudEvent in structured JSON. A row that does not is set aside, with what is wrong in
//! its column `problem`, and holds up nothing.
//!
//! **Order**: rows are drained in the order of their numbers, and a row only once no older transaction is open: the
//! reader stops at the first row whose transaction is not older than all open ones (`pg_snapshot_xmin`). So what a
//! transaction that began earlier writes is waited for and not passed, and events of one key come in the order of
//! their commits where the writers of that key exclude one another, as they do by updating the same row before they
//! append. No position is kept: a row is there until it is handled, so that none can be skipped. A writing transaction
//! that is left open anywhere on the server holds the outbox up.
//!
//! **Competing workers**: one receiver drains at a time, whatever its group is called: it holds an advisory lock of the
//! session, which the server takes back when the session ends; the others stand by. One reader instead of `FOR UPDATE
//! SKIP LOCKED` keeps order per key, and handing events to many workers is the dispatcher's task.
//!
//! The lock and `LISTEN` belong to a session: connect to the server itself, or through a pooler that pools sessions and
//! not transactions.
//!
//! **Waking**: a trigger calls `NOTIFY` where [`Settings::notify`] is on (PostgreSQL then lets commits that notify pass
//! one at a time), and the table is looked at each [`Settings::poll`] in any case.

mod install;
mod rows;
mod settings;
mod sink;
mod source;
mod status;
mod worker;

pub use settings::Settings;
pub use sink::OutboxSink;
pub use source::Outbox;
pub use status::OutboxStatus;
