//! Where positions are kept.

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use steadfast_core::projection::ViewError;
use steadfast_core::store::{Position, StoredEvent};

use super::Config;
use crate::epoch;
use crate::migrations::missing;
use crate::sqlite::journal::write_ahead;

/// What each version of the tables that every view shares adds to the one before. The first was made before versions
/// were kept.
const SHARED: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS steadfast_projections (name TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS steadfast_skipped (
        projection TEXT NOT NULL,
        position TEXT NOT NULL,
        stream TEXT NOT NULL,
        revision INTEGER NOT NULL,
        kind TEXT NOT NULL,
        happened INTEGER NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (projection, position)
    ) WITHOUT ROWID;",
    "ALTER TABLE steadfast_projections ADD COLUMN version INTEGER NOT NULL DEFAULT 0",
];

const META: &str = "
    CREATE TABLE IF NOT EXISTS steadfast_views (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
    INSERT OR IGNORE INTO steadfast_views VALUES (1, 0);
";

/// Opens the connection that writes the view, and makes its tables or brings them up to date.
pub(super) fn open(config: &Config, migrations: &[String]) -> Result<Connection, ViewError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&config.path, flags).map_err(of)?;
    connection.busy_timeout(config.busy_timeout.0).map_err(of)?;
    // What is lost with the power is applied again: position and view go back together.
    write_ahead(&connection, config.busy_timeout.0).map_err(of)?;
    connection.execute_batch("PRAGMA synchronous=NORMAL").map_err(of)?;
    install(&mut connection, &config.name, migrations)?;
    Ok(connection)
}

/// Runs those of the migrations that have not been run, all or none; others who open a view at this moment wait.
fn install(connection: &mut Connection, name: &str, migrations: &[String]) -> Result<(), ViewError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    transaction.execute_batch(META).map_err(of)?;
    let sql = "SELECT version FROM steadfast_views";
    let version = transaction.query_row(sql, [], |row| row.get(0)).map_err(of)?;
    bring(&transaction, "steadfast_projections", version, &SHARED)?;
    transaction.execute("UPDATE steadfast_views SET version = ?", [SHARED.len() as i64]).map_err(of)?;
    let sql = "INSERT OR IGNORE INTO steadfast_projections VALUES (?, ?, 0)";
    transaction.execute(sql, params![name, Position::START.to_string()]).map_err(of)?;
    let sql = "SELECT version FROM steadfast_projections WHERE name = ?";
    let version = transaction.query_row(sql, [name], |row| row.get(0)).map_err(of)?;
    bring(&transaction, name, version, migrations)?;
    let sql = "UPDATE steadfast_projections SET version = ? WHERE name = ?";
    transaction.execute(sql, params![migrations.len() as i64, name]).map_err(of)?;
    transaction.commit().map_err(of)
}

/// Runs the steps from `version` on.
fn bring(
    transaction: &Transaction<'_>,
    name: &str,
    version: i64,
    steps: &[impl AsRef<str>],
) -> Result<(), ViewError> {
    let mut missing = missing(name, version, steps)?.iter();
    missing.try_for_each(|step| transaction.execute_batch(step.as_ref()).map_err(of))
}

pub(super) fn position(connection: &Connection, name: &str) -> Result<Position, ViewError> {
    let sql = "SELECT position FROM steadfast_projections WHERE name = ?";
    let mut statement = connection.prepare_cached(sql).map_err(of)?;
    let text: Option<String> = statement.query_row([name], |row| row.get(0)).optional().map_err(of)?;
    let gone = || ViewError::permanent(format!("steadfast_projections has no row `{name}` any more"));
    let text = text.ok_or_else(gone)?;
    let wrong =
        |_| ViewError::permanent(format!("steadfast_projections holds `{text}` for `{name}`, no position"));
    text.parse().map_err(wrong)
}

pub(super) fn note(transaction: &Transaction<'_>, name: &str, position: Position) -> rusqlite::Result<()> {
    let sql = "UPDATE steadfast_projections SET position = ?2 WHERE name = ?1";
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
