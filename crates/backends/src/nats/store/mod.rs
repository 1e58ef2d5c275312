//! An event store in a stream of NATS JetStream, NATS 2.10 or later.
//!
//! # How events lie there
//! One stream, `STREAM`, with the subjects `STREAM.stream.NAME`, one per stream of events, and `STREAM.common`. A byte
//! of a name that is neither an ASCII letter nor a digit, `-` or `_` is written `=2E`. A batch in one stream is one message: a
//! line of JSON with the attributes of its events, then their data. A batch over several streams is a message for each of
//! them and, in `common`, one that makes it whole; without that one the others count for nothing. A position is the
//! sequence of the message with which a batch is whole, and the event's place in the batch.
//!
//! # Order
//! A message is stored on the condition that the one which was the last when it was laid out still is
//! (`Nats-Expected-Last-Sequence`). So each append stands on all that was appended before, in whatever process, and
//! conditions of every kind, revisions, and what was appended before are checked against exactly that (ADR 016). Where
//! another process was sooner, what is new is read, everything is checked again, and the append is tried again within
//! [`Settings::patience`].
//!
//! What is appended in one process while an answer of the server is awaited is then sent together, one message right
//! behind the other, and shares one round trip. Each message but the first also names the one before it
//! (`Nats-Expected-Last-Msg-Id`), so that none is stored where one before it was not, whoever else appends.
//!
//! Sequences ascend without a gap in which something could appear later, so no reader passes what comes behind it. Readers
//! and subscriptions ask for messages by their sequence and keep nothing at the server: after a lost connection they go
//! on where they were. A reader whose filter names exactly one stream reads only that; any other looks at everything.
//!
//! # Durability
//! The server acknowledges when it has written ([`Durability::Written`](steadfast_core::store::Durability::Written)), or,
//! with `sync_interval: always`, when it has synced
//! ([`Durability::Durable`](steadfast_core::store::Durability::Durable)). It tells nobody which: see
//! [`SyncInterval`](super::SyncInterval), also for what older servers lose where streams are deleted.
//! [`Config::replicas`](super::Config::replicas) adds nothing to what is declared. A server that lost messages with the
//! power, or got an old copy of its files, is noticed when something is appended: the log is then read anew.
//!
//! # What is recognised
//! Each process keeps the identities of the newest [`Settings::remember`] events, and reads them when it opens the store. An
//! append whose answer was lost is looked up by them, and tried again if it is not there: it ends with
//! [`Outcome::Unknown`](steadfast_core::store::Outcome::Unknown) only where the server stays away.
//!
//! # Deleting
//! A message says that a stream is deleted and from which revision it goes on; others keep the identities that are still
//! to be recognised; then the messages before it are purged. Should whoever deletes die before that, or the server lose
//! power after it, a reader over all streams sees them until somebody opens the store or deletes the stream again.
//!
//! # Limits
//! The events that a batch has in one stream must fit in a message (`max_payload`, 1 MiB by default, or the stream's
//! `max_msg_size`); a larger one is refused before it is sent. A stream that would lose what it is given, by age, number or
//! interest, is refused when the store is opened. One that is full (`discard: new`) refuses appends. What other processes
//! append is noticed within [`Settings::poll`].

mod access;
mod attempts;
mod bell;
mod check;
mod delete;
mod draft;
mod error;
mod group;
mod ids;
mod known;
mod layout;
mod load;
mod message;
mod open;
mod publish;
mod read;
mod settings;
mod stream;
mod streams;
mod subject;
mod writer;

pub use open::NatsStore;
pub use settings::Settings;
