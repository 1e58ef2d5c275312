//! The messages of PostgreSQL's output plugin `pgoutput`, protocol version 1
//! (<https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>).

mod cursor;
mod decode;
mod message;

pub(super) use decode::decode;
pub(super) use message::Cell;
#[cfg(test)]
pub(super) use message::Column;
pub(super) use message::Message;
pub(super) use message::Old;
pub(super) use message::Relation;
pub(super) use message::Tuple;
