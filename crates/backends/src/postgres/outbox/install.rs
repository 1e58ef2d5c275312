use steadfast_core::transport::Error;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Settings;
use crate::postgres::error::{configuration, denied, of};

/// Makes the table, unless it is there.
pub(super) async fn install(client: &Client, settings: &Settings) -> Result<(), Error> {
    let table = &settings.table;
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let present: bool = client.query_one(sql, &[table]).await.map_err(|error| of(&error))?.get(0);
    if present {
        return Ok(());
    }
    let sql = definition(settings);
    if !settings.create {
        let problem = format!("`{table}` is not there, and `create` is off: run `{sql}`");
        return Err(configuration("table", problem));
    }
    match client.batch_execute(&sql).await {
        Ok(()) => Ok(()),
        // Another receiver has made it at this moment.
        Err(error) if is_duplicate(error.code()) => Ok(()),
        Err(error) => Err(match of(&error) {
            Error::Denied { reason, .. } => denied(format!("{reason}: have `{sql}` run by who may")),
            other => other,
        }),
    }
}

fn is_duplicate(code: Option<&SqlState>) -> bool {
    let states = [SqlState::DUPLICATE_TABLE, SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_OBJECT];
    code.is_some_and(|code| states.contains(code))
}

/// One statement batch, and so one transaction.
fn definition(settings: &Settings) -> String {
    let table = &settings.table;
    let notify = if settings.notify {
        format!(
            " CREATE OR REPLACE FUNCTION {table}_notify() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_notify('{table}', ''); RETURN NULL; END $$; \
             CREATE TRIGGER {table}_notify AFTER INSERT ON {table} FOR EACH STATEMENT \
             EXECUTE FUNCTION {table}_notify();"
        )
    } else {
        String::new()
    };
    // Rows are short-lived: the vacuum comes early, or the index would grow.
    format!(
        "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         xid xid8 NOT NULL DEFAULT pg_current_xact_id(), event json NOT NULL, \
         made_at timestamptz NOT NULL DEFAULT now(), handled_at timestamptz, problem text) \
         WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000); \
         CREATE INDEX {table}_waiting ON {table} (id) WHERE handled_at IS NULL AND problem IS NULL;{notify}"
    )
}
