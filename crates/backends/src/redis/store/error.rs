use std::io;

use ::redis::RedisError;
use steadfast_core::store::{Error, Outcome};
use steadfast_core::transport;

use crate::redis::error::{code, is_connection_lost};

pub(super) const APPENDING: &str = "appending to Redis";
pub(super) const READING: &str = "reading from Redis";
pub(super) const DELETING: &str = "deleting from Redis";
const CONNECTING: &str = "connecting to Redis";

/// Says what an error of the driver means to whoever asked, when it happened while `doing` something.
pub(super) fn of(doing: &'static str, error: &RedisError, outcome: Outcome) -> Error {
    let text = error.to_string();
    if is_connection_lost(error) {
        return Error::io(doing, io::Error::new(io::ErrorKind::NotConnected, text), outcome);
    }
    // What the server says it has refused, it has not done. Of an error within a script older servers tell only by text.
    match code(error).as_deref() {
        Some("OOM") => Error::Full,
        _ if text.contains("-OOM ") => Error::Full,
        Some("BUSY" | "TRYAGAIN") => Error::Overloaded,
        _ => Error::io(doing, io::Error::other(text), Outcome::NotAppended),
    }
}

/// As [`of`], for what changes nothing.
pub(super) fn reading(error: &RedisError) -> Error {
    of(READING, error, Outcome::NotAppended)
}

/// Says what an error of connecting means.
pub(super) fn connecting(error: &transport::Error) -> Error {
    let kind = match error {
        transport::Error::Closed => return Error::Closed,
        transport::Error::Configuration { .. } => return Error::Invalid { reason: error.to_string() },
        transport::Error::Unsupported { what, .. } => return Error::Unsupported { what: what.clone() },
        transport::Error::Denied { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::NotConnected,
    };
    Error::io(CONNECTING, io::Error::new(kind, error.to_string()), Outcome::NotAppended)
}

/// Makes the error for a server that stayed away.
pub(super) fn away(reason: String) -> Error {
    Error::io(CONNECTING, io::Error::new(io::ErrorKind::TimedOut, reason), Outcome::NotAppended)
}

/// Makes the error for an answer that no script of ours gives.
pub(super) fn strange(doing: &'static str) -> Error {
    let text = "the server gave an answer that is none";
    Error::io(doing, io::Error::new(io::ErrorKind::InvalidData, text), Outcome::Unknown)
}

/// Says that it is open whether the batch of a failed append is there, whatever the error says.
pub(super) fn unknown(doing: &'static str, error: Error) -> Error {
    match error {
        Error::Io { source, .. } => Error::Io { doing, source, outcome: Outcome::Unknown },
        other => Error::io(doing, io::Error::other(other.to_string()), Outcome::Unknown),
    }
}

/// Makes the error for a store whose keys were deleted under a connection.
pub(super) fn gone(doing: &'static str) -> Error {
    Error::io(doing, io::Error::new(io::ErrorKind::NotFound, "the store is gone"), Outcome::NotAppended)
}
