use rusqlite::ErrorCode;
use steadfast_core::transport::Error;

pub(super) const SYSTEM: &str = "sqlite";

/// Says what an error of SQLite means to a transport.
pub(super) fn of(error: &rusqlite::Error) -> Error {
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied,
        ) => Error::Denied { system: SYSTEM, reason },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::Rejected { system: SYSTEM, reason }
        }
        Some(_) => Error::Unavailable { system: SYSTEM, reason },
        None => Error::Rejected { system: SYSTEM, reason },
    }
}

pub(super) fn unavailable(reason: impl Into<String>) -> Error {
    Error::Unavailable { system: SYSTEM, reason: reason.into() }
}
