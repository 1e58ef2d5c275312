use steadfast_core::transport::Error;
use tokio_postgres::error::SqlState;

use super::replication::Failure;

pub(super) const SYSTEM: &str = "postgresql";

/// Says what an error of a session means to a transport.
pub(super) fn of(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(database) => by_code(database.code().code(), database.message().to_owned()),
        None => unavailable(chain(error)),
    }
}

/// Says what an error of a replication connection means to a transport.
pub(super) fn of_replication(error: &Failure) -> Error {
    match error {
        Failure::Server { code, message } => by_code(code, message.clone()),
        Failure::Authentication(reason) => denied(reason.clone()),
        Failure::TooLarge { .. } => rejected(format!("{error}; raise `rowSizeMax`")),
        Failure::Tls(error) => error.clone(),
        Failure::Io(_) | Failure::Protocol(_) | Failure::Standby => unavailable(error.to_string()),
    }
}

fn by_code(code: &str, reason: String) -> Error {
    let state = SqlState::from_code(code);
    match code.get(..2).unwrap_or_default() {
        // Invalid authorization.
        "28" => denied(reason),
        // Connections, too few resources, intervention by an operator, errors of the system, conflicts.
        "08" | "53" | "57" | "58" | "40" | "" => unavailable(reason),
        _ if state == SqlState::INSUFFICIENT_PRIVILEGE => denied(reason),
        // A standby, which may yet be promoted.
        _ if state == SqlState::READ_ONLY_SQL_TRANSACTION => unavailable(reason),
        // A slot that is in use, a lock that was not to be had.
        _ if state == SqlState::OBJECT_IN_USE || state == SqlState::LOCK_NOT_AVAILABLE => unavailable(reason),
        _ => rejected(reason),
    }
}

/// Says whether a replication slot was refused because another connection uses it.
pub(super) fn is_in_use(error: &Failure) -> bool {
    matches!(error, Failure::Server { code, .. } if code == SqlState::OBJECT_IN_USE.code())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

pub(super) fn unavailable(reason: impl Into<String>) -> Error {
    Error::Unavailable { system: SYSTEM, reason: reason.into() }
}

pub(super) fn denied(reason: impl Into<String>) -> Error {
    Error::Denied { system: SYSTEM, reason: reason.into() }
}

pub(super) fn rejected(reason: impl Into<String>) -> Error {
    Error::Rejected { system: SYSTEM, reason: reason.into() }
}

pub(super) fn configuration(field: &'static str, problem: impl Into<String>) -> Error {
    Error::Configuration { system: SYSTEM, field, problem: problem.into() }
}
