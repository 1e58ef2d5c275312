//! Where positions are kept.

use steadfast_base::{Class, Classify};
use steadfast_core::projection::ViewError;
use steadfast_core::store::{Position, StoredEvent};
use tokio_postgres::{Client, GenericClient, Transaction};

use super::Settings;
use crate::epoch;
use crate::migrations::missing;
use crate::postgres::Config;
use crate::postgres::connect::{self, Session};

/// What each version of the tables that every view shares adds to the one before. The first was made before versions
/// were kept.
const SHARED: [&str; 1] = ["
    CREATE TABLE IF NOT EXISTS steadfast_projections (
        name text PRIMARY KEY,
        position text NOT NULL,
        version int NOT NULL
    );
    CREATE TABLE IF NOT EXISTS steadfast_skipped (
        projection text NOT NULL,
        position text NOT NULL,
        stream text NOT NULL,
        revision bigint NOT NULL,
        kind text NOT NULL,
        happened bigint NOT NULL,
        reason text NOT NULL,
        PRIMARY KEY (projection, position)
    );
"];

/// Connects for the work on a view.
pub(super) async fn connect(config: &Config, settings: &Settings) -> Result<Session, ViewError> {
    let refused = |error: steadfast_core::transport::Error| ViewError {
        reason: error.to_string(),
        retryable: error.classify() == Class::Transient,
    };
    let session = connect::connect(config).await.map_err(refused)?;
    // What was committed does not go back when the server dies, so that a projector need not bring it again. Whoever
    // waits for the row of the position sees where another process has left it, whatever the role or the database says.
    let sql = format!(
        "SET search_path TO \"{}\"; SET statement_timeout = {}; SET synchronous_commit = on; \
         SET default_transaction_isolation = 'read committed'",
        settings.schema,
        settings.statement_timeout.0.as_millis()
    );
    session.batch_execute(&sql).await.map_err(|error| of(&error))?;
    Ok(session)
}

/// Makes the tables, or brings them up to date.
pub(super) async fn install(
    client: &mut Client,
    settings: &Settings,
    migrations: &[&str],
) -> Result<(), ViewError> {
    let Settings { name, schema, .. } = settings;
    let told = |error| of(&error);
    let transaction = client.transaction().await.map_err(told)?;
    // Others who open a view at this moment wait.
    let sql = format!(
        "SELECT pg_advisory_xact_lock(1937007986); CREATE SCHEMA IF NOT EXISTS \"{schema}\"; \
         CREATE TABLE IF NOT EXISTS steadfast_views (one int PRIMARY KEY CHECK (one = 1), version int NOT NULL); \
         INSERT INTO steadfast_views VALUES (1, 0) ON CONFLICT DO NOTHING"
    );
    transaction.batch_execute(&sql).await.map_err(told)?;
    let row = transaction.query_one("SELECT version FROM steadfast_views", &[]).await.map_err(told)?;
    bring(&transaction, "steadfast_projections", row.get(0), &SHARED).await?;
    let sql = format!("UPDATE steadfast_views SET version = {}", SHARED.len());
    transaction.batch_execute(&sql).await.map_err(told)?;
    let sql = "INSERT INTO steadfast_projections VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
    transaction.execute(sql, &[name, &Position::START.to_string()]).await.map_err(told)?;
    let sql = "SELECT version FROM steadfast_projections WHERE name = $1";
    let version: i32 = transaction.query_one(sql, &[name]).await.map_err(told)?.get(0);
    bring(&transaction, name, version, migrations).await?;
    let sql = "UPDATE steadfast_projections SET version = $2 WHERE name = $1";
    let newest = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    transaction.execute(sql, &[name, &newest]).await.map_err(told)?;
    transaction.commit().await.map_err(told)
}

/// Runs the steps from `version` on.
async fn bring(
    transaction: &Transaction<'_>,
    name: &str,
    version: i32,
    steps: &[&str],
) -> Result<(), ViewError> {
    for step in missing(name, version.into(), steps)? {
        transaction.batch_execute(step).await.map_err(|error| of(&error))?;
    }
    Ok(())
}

pub(super) async fn position(client: &impl GenericClient, name: &str) -> Result<Position, ViewError> {
    read(client, "SELECT position FROM steadfast_projections WHERE name = $1", name).await
}

/// Reads the position, and lets nobody else move it until the transaction ends.
pub(super) async fn lock(transaction: &Transaction<'_>, name: &str) -> Result<Position, ViewError> {
    read(transaction, "SELECT position FROM steadfast_projections WHERE name = $1 FOR UPDATE", name).await
}

async fn read(client: &impl GenericClient, sql: &str, name: &str) -> Result<Position, ViewError> {
    let row = client.query_opt(sql, &[&name]).await.map_err(|error| of(&error))?;
    let gone = || ViewError::permanent(format!("steadfast_projections has no row `{name}` any more"));
    let row = row.ok_or_else(gone)?;
    let text: &str = row.get(0);
    let wrong =
        |_| ViewError::permanent(format!("steadfast_projections holds `{text}` for `{name}`, no position"));
    text.parse().map_err(wrong)
}

pub(super) async fn note(
    transaction: &Transaction<'_>,
    name: &str,
    position: Position,
) -> Result<(), ViewError> {
    let sql = "UPDATE steadfast_projections SET position = $2 WHERE name = $1";
    transaction.execute(sql, &[&name, &position.to_string()]).await.map(drop).map_err(|error| of(&error))
}

pub(super) async fn record(
    transaction: &Transaction<'_>,
    name: &str,
    event: &StoredEvent,
    reason: &str,
) -> Result<(), ViewError> {
    let sql = "INSERT INTO steadfast_skipped VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let (happened, _) = epoch::split(event.event.time());
    let position = event.position.to_string();
    let revision = i64::try_from(event.revision.0).unwrap_or(i64::MAX);
    // A text of PostgreSQL cannot hold it.
    let [stream, kind, reason] =
        [&*event.stream, event.event.kind(), reason].map(|text| text.replace('\0', ""));
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&name, &position, &stream, &revision, &kind, &happened, &reason];
    transaction.execute(sql, &values).await.map(drop).map_err(|error| of(&error))
}

/// Says what an error of PostgreSQL means to a projection.
pub(super) fn of(error: &tokio_postgres::Error) -> ViewError {
    let reason = match error.as_db_error() {
        Some(database) => format!("{} ({})", database.message(), database.code().code()),
        None => error.to_string(),
    };
    ViewError { reason, retryable: passes(error) }
}

/// Says whether trying again can help.
fn passes(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error().map(|database| database.code().code()) {
        // Connections, rollbacks, too few resources, locks, intervention by an operator, errors of the system; and a
        // standby, which may yet be promoted.
        Some(code) => {
            ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
                || code == "25006"
        }
        None => is_lost(error),
    }
}

/// Says whether the connection has ended.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    error.is_closed() || source.is_some_and(|source| source.is::<std::io::Error>())
}

/// Says whether an error is about the data of the event: of what they are, or of what the tables allow.
pub(super) fn is_about_data(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error().map(|database| database.code().code()) {
        Some(code) => ["21", "22", "23", "44", "P0"].iter().any(|class| code.starts_with(class)),
        // A value that does not go into a parameter.
        None => !is_lost(error),
    }
}
