use rusqlite::ErrorCode;
use steadfast_core::store::{Error, Outcome};

/// Says what an error of SQLite means to whoever asked, when it happened while `doing` something.
pub(super) fn of(doing: &'static str, error: rusqlite::Error, outcome: Outcome) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) if outcome == Outcome::NotAppended => Error::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) if outcome == Outcome::NotAppended => {
            Error::Overloaded
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::Damaged { place: "the SQLite database".to_owned(), problem: error.to_string() }
        }
        _ => Error::io(doing, std::io::Error::other(error), outcome),
    }
}

/// As [`of`], for what changes nothing.
pub(super) fn reading(error: rusqlite::Error) -> Error {
    of("reading from SQLite", error, Outcome::NotAppended)
}

/// Makes the error for a row that this store did not write.
pub(super) fn damaged(position: u64, problem: impl std::fmt::Display) -> Error {
    Error::Damaged { place: format!("row {position} of steadfast_events"), problem: problem.to_string() }
}
