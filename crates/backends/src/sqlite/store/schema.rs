use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use steadfast_core::store::{Error, Outcome};

use super::error::{of, reading};
use crate::sqlite::journal::write_ahead;

/// What each version of the format adds to the one before.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE steadfast_streams (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        next_revision INTEGER NOT NULL
    );
    CREATE TABLE steadfast_events (
        position INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL,
        stream INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        id BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        subject TEXT,
        source TEXT NOT NULL,
        seconds INTEGER NOT NULL,
        nanos INTEGER NOT NULL,
        content_type TEXT,
        data_schema TEXT,
        trace TEXT,
        extensions TEXT,
        data BLOB NOT NULL
    );
    CREATE INDEX steadfast_events_by_stream ON steadfast_events (stream, position);
    CREATE TABLE steadfast_gone (
        position INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        id BLOB NOT NULL UNIQUE
    );
"];

const META: &str = "
    CREATE TABLE IF NOT EXISTS steadfast_log (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        next_position INTEGER NOT NULL
    );
    INSERT OR IGNORE INTO steadfast_log VALUES (1, 0, 1);
";

/// Opens the connection that writes, and brings the tables up to date.
pub(super) fn open(path: &Path, busy_timeout: Duration) -> Result<Connection, Error> {
    let told = |error| of("opening the SQLite database", error, Outcome::NotAppended);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(busy_timeout).map_err(told)?;
    let journal = write_ahead(&connection, busy_timeout).map_err(told)?;
    if journal != "wal" {
        let what = format!("a write-ahead log here: the journal stays `{journal}`; choose a local file");
        return Err(Error::Unsupported { what });
    }
    connection.execute_batch("PRAGMA synchronous=FULL; PRAGMA secure_delete=ON").map_err(told)?;
    // What others call a sync leaves it to the drive on macOS, where this one is called so; elsewhere it changes nothing.
    connection.execute_batch("PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON").map_err(told)?;
    migrate(&mut connection, &MIGRATIONS)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(reading)?;
    connection.busy_timeout(busy_timeout).map_err(reading)?;
    Ok(connection)
}

/// Runs those of `migrations` that have not been run.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Error> {
    let told = |error| of("making the tables of events", error, Outcome::NotAppended);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(told)?;
    transaction.execute_batch(META).map_err(told)?;
    let version = transaction
        .query_row("SELECT version FROM steadfast_log", [], |row| row.get::<_, i64>(0))
        .optional()
        .map_err(told)?;
    let version = usize::try_from(version.unwrap_or(0)).unwrap_or(usize::MAX);
    let Some(missing) = migrations.get(version..) else {
        let what = format!(
            "format {version} of steadfast_events, only up to {}: it was made by a newer version",
            migrations.len()
        );
        return Err(Error::Unsupported { what });
    };
    for migration in missing {
        transaction.execute_batch(migration).map_err(told)?;
    }
    transaction.execute("UPDATE steadfast_log SET version = ?", [migrations.len() as i64]).map_err(told)?;
    transaction.commit().map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a later version would add: a column, filled from what is there.
    const NEXT: [&str; 2] = [
        MIGRATIONS[0],
        "ALTER TABLE steadfast_streams ADD COLUMN length INTEGER; \
         UPDATE steadfast_streams SET length = length(name)",
    ];

    #[test]
    fn a_step_is_run_once_and_keeps_what_is_there() {
        let mut connection = Connection::open_in_memory().expect("opened");
        migrate(&mut connection, &MIGRATIONS).expect("made");
        let sql = "INSERT INTO steadfast_streams VALUES (1, 'order-1', 7)";
        connection.execute(sql, []).expect("inserted");
        for _ in 0..2 {
            migrate(&mut connection, &NEXT).expect("brought up to date, or left as it is");
            let sql = "SELECT name, next_revision, length FROM steadfast_streams";
            let found: (String, i64, i64) = connection
                .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .expect("a row");
            assert_eq!(found, ("order-1".to_owned(), 7, 7));
        }
        let newer = migrate(&mut connection, &MIGRATIONS).expect_err("made by a newer version");
        assert!(newer.to_string().contains("format 2 of steadfast_events, only up to 1"), "{newer}");
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let mut connection = Connection::open_in_memory().expect("opened");
        migrate(&mut connection, &MIGRATIONS).expect("made");
        let broken = [MIGRATIONS[0], "CREATE TABLE more (a); INSERT INTO nowhere VALUES (1)"];
        migrate(&mut connection, &broken).expect_err("there is no such table");
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'more'", [], |row| row.get(0))
            .expect("a number");
        assert_eq!(tables, 0);
        migrate(&mut connection, &NEXT).expect("it goes on from where it was");
    }
}
