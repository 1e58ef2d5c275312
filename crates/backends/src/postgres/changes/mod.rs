//! Changes of tables as events, by logical replication.
//!
//! The server decodes its write-ahead log with its plugin `pgoutput`, and a replication slot keeps what has not been
//! handled, also while nobody receives and after the server was killed. Changes of transactions that were committed
//! come, in the order of their commits, and no others. Where replication is not allowed, use the
//! [outbox table](crate::postgres::outbox).
//!
//! **A group** has a slot of its own, named `SLOT_GROUP`, and gets every change. One receiver of a group is active,
//! for a slot has one reader; others stand by and one of them goes on when it closes or dies. A slot begins where it
//! is made: [`Start::Oldest`](steadfast_core::transport::Start) means the same as `New`, and rows that were there
//! before are not told.
//!
//! **Confirming**: the slot moves on once each event of a transaction, and of all before it, is handled; a transaction
//! that was handled in part comes again as a whole, to another receiver. The server notes where the slot stands now and
//! then: after it was killed it begins somewhat before. The receiver knows what it had, so that nothing comes twice
//! to it; to a receiver that was killed too, some does. An inbox recognises that, for an event's identity is derived
//! from the database and the event's place in its log.
//!
//! **The event**: type `postgresql.row.inserted`, `.updated`, `.deleted`, or `postgresql.table.truncated`; the subject
//! is table and key, such as `public.orders/7`; the data is a [`Change`](crate::change::Change); the extension
//! `sequence` is the commit's place in the log and the number within the transaction. The time is that of the commit.
//!
//! **Standing by**: a receiver whose group's slot is in use stays [`Link::Connecting`](steadfast_core::transport::Link).
//! What the server keeps on its disk for a slot is told by [`Changes::status`]; a slot that nobody reads fills that disk
//! unless `max_slot_wal_keep_size` is set: drop it by [`Changes::drop_group`].
//!
//! Where `max_slot_wal_keep_size` made the server remove what was not handled, receiving fails for good and says so.
//!
//! **Tables**: a source tells of its own tables, also where others share its publication. All sources of a group should
//! name the same ones: what one of them passes over is handled for the group. A partitioned table is one table. A table
//! that is renamed stays the same one; one that is dropped and made anew is told of after the next
//! [`open`](steadfast_core::transport::Source::open). `TRUNCATE` is an event of the table and not of its rows: only
//! [`Order::Total`](steadfast_core::delivery::Order) keeps its place among theirs.
//!
//! **Another server** that takes the place of the one before, such as a standby that was promoted with its slots, is
//! read from where its slot stands; what the receiver had of the other one's log is not mistaken for its own. What comes
//! twice by that an inbox recognises.
//!
//! **The row as it was** is told fully under `REPLICA IDENTITY FULL` ([`Settings::full_before`]), which makes the log
//! larger.

mod assemble;
mod pgoutput;
mod position;
mod prepare;
mod settings;
mod source;
mod status;
mod value;
mod worker;

pub use settings::Settings;
pub use source::Changes;
pub use status::SlotStatus;
