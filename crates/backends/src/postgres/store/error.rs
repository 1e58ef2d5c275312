use std::io;

use steadfast_core::store::{Error, Outcome};
use steadfast_core::transport;
use tokio_postgres::error::SqlState;

/// Says what an error of a session means to whoever asked, when it happened while `doing` something.
pub(super) fn of(doing: &'static str, error: &tokio_postgres::Error, outcome: Outcome) -> Error {
    let Some(database) = error.as_db_error() else {
        return Error::io(doing, io::Error::new(io::ErrorKind::NotConnected, error.to_string()), outcome);
    };
    // What the server says it has refused, it has not done.
    match *database.code() {
        SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED => Error::Overloaded,
        SqlState::DISK_FULL => Error::Full,
        _ => {
            let text = format!("{} ({})", database.message(), database.code().code());
            let lost = database.code().code().starts_with("57P");
            let outcome = if lost { outcome } else { Outcome::NotAppended };
            Error::io(doing, io::Error::other(text), outcome)
        }
    }
}

/// As [`of`], for what changes nothing.
pub(super) fn reading(error: &tokio_postgres::Error) -> Error {
    of("reading from PostgreSQL", error, Outcome::NotAppended)
}

/// Says what an error of connecting means.
pub(super) fn connecting(error: &transport::Error) -> Error {
    let source = io::Error::new(io::ErrorKind::NotConnected, error.to_string());
    Error::io("connecting to PostgreSQL", source, Outcome::NotAppended)
}

/// Says whether the connection, or the server, went away while something was under way.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none_or(|database| {
        let code = database.code().code();
        // Intervention by an operator, and connections.
        code.starts_with("57P") || code.starts_with("08")
    })
}
