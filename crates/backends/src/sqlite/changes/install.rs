use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use steadfast_core::transport::Error;

use super::error::{SYSTEM, of};
use super::triggers::{Table, identifier, trigger_names};

/// What each version of the format adds to the one before.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE steadfast_changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        tbl TEXT NOT NULL,
        operation TEXT NOT NULL,
        row_key TEXT NOT NULL,
        before TEXT,
        after TEXT
    );
    CREATE TABLE steadfast_groups (
        name TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        lost INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    INSERT INTO steadfast_meta VALUES ('origin', lower(hex(randomblob(16))));
"];

/// Opens the database, which must exist.
pub(super) fn connect(path: &Path, busy_timeout: Duration) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| of(&error))?;
    connection.busy_timeout(busy_timeout).map_err(|error| of(&error))?;
    Ok(connection)
}

/// Makes tables and triggers, or brings them up to date with the tables as they are now.
pub(super) fn install(connection: &mut Connection, tables: &[String]) -> Result<(), Error> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| of(&error))?;
    migrate(&transaction)?;
    for name in tables {
        let table = Table::read(&transaction, name).map_err(|error| of(&error))?;
        let Some(table) = table else {
            let problem = format!("there is no table `{name}`: create it first, or correct the name");
            return Err(Error::Configuration { system: SYSTEM, field: "tables", problem });
        };
        renew(&transaction, &table).map_err(|error| of(&error))?;
    }
    transaction.commit().map_err(|error| of(&error))
}

/// Removes the triggers of `tables`; what they wrote stays.
pub(super) fn uninstall(connection: &mut Connection, tables: &[String]) -> Result<(), Error> {
    let mut remove = || -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for trigger in tables.iter().flat_map(|table| trigger_names(table)) {
            transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", identifier(&trigger)))?;
        }
        transaction.commit()
    };
    remove().map_err(|error| of(&error))
}

fn migrate(transaction: &Transaction<'_>) -> Result<(), Error> {
    let bring = || -> rusqlite::Result<usize> {
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS steadfast_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        )?;
        let version: Option<u32> = transaction
            .query_row("SELECT value FROM steadfast_meta WHERE name = 'version'", [], |row| row.get(0))
            .optional()?;
        let version = version.unwrap_or(0) as usize;
        for migration in MIGRATIONS.iter().skip(version) {
            transaction.execute_batch(migration)?;
        }
        if version < MIGRATIONS.len() {
            let sql = "INSERT OR REPLACE INTO steadfast_meta VALUES ('version', ?1)";
            transaction.execute(sql, [MIGRATIONS.len() as i64])?;
        }
        Ok(version)
    };
    let version = bring().map_err(|error| of(&error))?;
    if version > MIGRATIONS.len() {
        let reason = format!("its change table has version {version}, made by a newer release: use that one");
        return Err(Error::Rejected { system: SYSTEM, reason });
    }
    Ok(())
}

/// Makes the table's triggers, unless they are there as they should be.
fn renew(transaction: &Transaction<'_>, table: &Table) -> rusqlite::Result<()> {
    for (name, wanted) in table.triggers() {
        let sql = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1";
        let present: Option<String> = transaction.query_row(sql, [&name], |row| row.get(0)).optional()?;
        if present.as_deref() == Some(&wanted) {
            continue;
        }
        transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", identifier(&name)))?;
        transaction.execute_batch(&wanted)?;
    }
    Ok(())
}
