//! The write-ahead log of a database.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Sets the write-ahead log, and returns what the journal is then.
///
/// Of several connections that do so at the same time in a new database, some are told at once that it is busy, whatever
/// their timeout says: they try again for as long.
pub(in crate::sqlite) fn write_ahead(connection: &Connection, within: Duration) -> rusqlite::Result<String> {
    const AGAIN_AFTER: Duration = Duration::from_millis(1);
    let until = Instant::now() + within;
    loop {
        match connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                std::thread::sleep(AGAIN_AFTER);
            }
            result => return result,
        }
    }
}
