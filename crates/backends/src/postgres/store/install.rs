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
    migrate(client, settings, &MIGRATIONS).await
}

/// Runs those of `migrations` that have not been run, and makes the functions.
async fn migrate(client: &Client, settings: &Settings, migrations: &[&str]) -> Result<Found, Error> {
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
        let Some(missing) = migrations.get(version..) else {
            let newest = migrations.len();
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
            migrations.len()
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

#[cfg(test)]
mod tests {
    mod with_postgres {
        use futures::TryStreamExt;
        use steadfast_core::Event;
        use steadfast_core::store::{Batch, Condition, EventStore, Query};
        use steadfast_servers::Postgres;

        use super::super::*;
        use crate::Secret;
        use crate::postgres::Config;
        use crate::postgres::connect::connect;
        use crate::postgres::store::PostgresStore;

        /// What a later version would add: a column, filled from what is there.
        const NEXT: [&str; 2] = [
            MIGRATIONS[0],
            "ALTER TABLE steadfast_events ADD COLUMN bytes int; UPDATE steadfast_events SET bytes = length(data)",
        ];

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_step_is_run_once_and_keeps_what_is_there() {
            let server = tokio::task::spawn_blocking(Postgres::start).await.expect("no panic");
            let server = server.expect("PostgreSQL starts");
            let config = Config {
                host: server.address().ip().to_string(),
                port: server.address().port(),
                password: Some(Secret::new(Postgres::PASSWORD)),
                ..Config::default()
            };
            let settings = Settings::default();
            let store = PostgresStore::open(config.clone(), settings.clone()).await.expect("opened");
            let append = |data: &'static str| {
                let event = Event::new("/test", "e").data("text/plain", data);
                store.append(Batch::to_stream("s", [event]), Condition::Any, Durability::Accepted)
            };
            append("four").await.expect("appended");
            let client = connect(&config).await.expect("it connects");

            let broken = [MIGRATIONS[0], "CREATE TABLE more (a int); SELECT 1 / 0"];
            migrate(&client, &settings, &broken).await.map(drop).expect_err("it fails");
            for _ in 0..2 {
                migrate(&client, &settings, &NEXT).await.expect("brought up to date, or left as it is");
            }
            let sql = "SELECT bytes, (SELECT version FROM steadfast_log), to_regclass('more') IS NULL \
                FROM steadfast_events";
            let row = client.query_one(sql, &[]).await.expect("a row");
            assert_eq!((row.get(0), row.get(1), row.get(2)), (Some(4), 2, true));
            let newer =
                migrate(&client, &settings, &MIGRATIONS).await.map(drop).expect_err("a newer version");
            assert!(newer.to_string().contains("format 2 of steadfast_events, only up to 1"), "{newer}");

            append("more").await.expect("who has it open goes on");
            let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
            let data: Vec<_> = events.iter().map(|stored| &stored.event.data()[..]).collect();
            assert_eq!(data, [b"four", b"more"]);
        }
    }
}
