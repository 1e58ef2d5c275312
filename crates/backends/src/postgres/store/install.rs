use steadfast_core::store::{Durability, Error, Outcome};
use tokio_postgres::Client;

use super::Settings;
use super::error::of;

/// What each version of the format adds to the one before.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// They keep nothing, and are made anew each time.
const FUNCTIONS: &str = include_str!("functions.sql");

/// What was found out about the server.
pub(super) struct Found {
    pub(super) durability_max: Durability,
}

/// Makes the tables and functions, or brings them up to date.
pub(super) async fn install(client: &Client, settings: &Settings) -> Result<Found, Error> {
    let schema = &settings.schema;
    let told = |error| of("making the tables of events", &error, Outcome::NotAppended);
    // One transaction, for all of it is one simple query; others who open the store at this moment wait.
    let prepare = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(1937007983); CREATE SCHEMA IF NOT EXISTS \"{schema}\"; \
         CREATE TABLE IF NOT EXISTS steadfast_log (one int PRIMARY KEY CHECK (one = 1), version int NOT NULL, \
         shift bigint NOT NULL); \
         INSERT INTO steadfast_log VALUES (1, 0, 0) ON CONFLICT DO NOTHING"
    );
    let result = async {
        client.batch_execute(&prepare).await.map_err(told)?;
        let row = client.query_one("SELECT version FROM steadfast_log", &[]).await.map_err(told)?;
        let version = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
        let Some(missing) = MIGRATIONS.get(version..) else {
            let newest = MIGRATIONS.len();
            let what = format!(
                "format {version} of steadfast_events, only up to {newest}: it was made by a newer version"
            );
            return Err(Error::Unsupported { what });
        };
        for migration in missing {
            client.batch_execute(migration).await.map_err(told)?;
        }
        client.batch_execute(FUNCTIONS).await.map_err(told)?;
        // Behind what a copy of another database holds, transactions have not got yet.
        let finish = format!(
            "UPDATE steadfast_log SET version = {}, shift = greatest(shift, 1 - pg_current_xact_id()::text::bigint + \
             (SELECT coalesce(max(position), 0) FROM (SELECT position FROM steadfast_events UNION ALL \
             SELECT position FROM steadfast_gone) AS all_of_them)); COMMIT",
            MIGRATIONS.len()
        );
        client.batch_execute(&finish).await.map_err(told)?;
        let row = client.query_one("SHOW fsync", &[]).await.map_err(told)?;
        let syncs = row.get::<_, &str>(0) == "on";
        Ok(Found { durability_max: if syncs { Durability::Durable } else { Durability::Accepted } })
    };
    let result = result.await;
    if result.is_err() {
        let _ = client.batch_execute("ROLLBACK").await;
    }
    result
}
