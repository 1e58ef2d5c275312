//! Where positions are kept.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use steadfast_core::projection::ViewError;
use steadfast_core::store::{Position, StoredEvent};

use crate::epoch;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS steadfast_projections (name TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS steadfast_skipped (
        projection TEXT NOT NULL,
        position TEXT NOT NULL,
        stream TEXT NOT NULL,
        revision INTEGER NOT NULL,
        kind TEXT NOT NULL,
        happened INTEGER NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (projection, position)
    ) WITHOUT ROWID;
";

/// Opens the connection that writes the view.
pub(super) fn open(
    path: &std::path::Path,
    busy_timeout: Duration,
    tables: &str,
) -> Result<Connection, ViewError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(of)?;
    connection.busy_timeout(busy_timeout).map_err(of)?;
    // What is lost with the power is applied again: position and view go back together.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL").map_err(of)?;
    connection.execute_batch(TABLES).map_err(of)?;
    connection.execute_batch(tables).map_err(of)?;
    Ok(connection)
}

pub(super) fn position(connection: &Connection, name: &str) -> Result<Position, ViewError> {
    let sql = "SELECT position FROM steadfast_projections WHERE name = ?";
    let mut statement = connection.prepare_cached(sql).map_err(of)?;
    let text: Option<String> = statement.query_row([name], |row| row.get(0)).optional().map_err(of)?;
    let Some(text) = text else { return Ok(Position::START) };
    let wrong =
        |_| ViewError::permanent(format!("steadfast_projections holds `{text}` for `{name}`, no position"));
    text.parse().map_err(wrong)
}

pub(super) fn note(transaction: &Transaction<'_>, name: &str, position: Position) -> rusqlite::Result<()> {
    let sql = "INSERT INTO steadfast_projections VALUES (?1, ?2) ON CONFLICT DO UPDATE SET position = ?2";
    transaction.prepare_cached(sql)?.execute(params![name, position.to_string()]).map(drop)
}

pub(super) fn record(
    transaction: &Transaction<'_>,
    name: &str,
    event: &StoredEvent,
    reason: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO steadfast_skipped VALUES (?, ?, ?, ?, ?, ?, ?)";
    let (happened, _) = epoch::split(event.event.time());
    let values = params![
        name,
        event.position.to_string(),
        &*event.stream,
        event.revision.0 as i64,
        event.event.kind(),
        happened,
        reason
    ];
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

/// Says what an error of SQLite means to a projection.
pub(super) fn of(error: rusqlite::Error) -> ViewError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure,
        ) => ViewError::transient(error),
        _ => ViewError::permanent(error),
    }
}
