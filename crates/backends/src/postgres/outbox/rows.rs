use std::time::SystemTime;

use steadfast_core::Event;
use steadfast_core::cloudevents;
use steadfast_core::transport::Error;
use tokio_postgres::{Client, GenericClient};

use super::Settings;
use crate::postgres::error::{of, rejected};

/// What a look at the table has found.
pub(super) struct Found {
    /// Numbers and events, in order.
    pub(super) events: Vec<(i64, Event)>,
    /// Rows that hold no event, and why.
    pub(super) broken: Vec<(i64, String)>,
    /// There may be more at once.
    pub(super) more: bool,
    /// A row waits for an older transaction.
    pub(super) waiting: bool,
}

/// Reads up to `max` rows that are not in `known`, up to the first whose transaction is not older than all that are
/// open. One that is newer than this server knows was made on another one, whose rows were copied.
pub(super) async fn read(
    client: &Client,
    settings: &Settings,
    known: &[i64],
    max: usize,
) -> Result<Found, Error> {
    let sql = format!(
        "SELECT id, xid < pg_snapshot_xmin(pg_current_snapshot()) OR xid >= pg_snapshot_xmax(pg_current_snapshot()), \
         event::text FROM {} \
         WHERE handled_at IS NULL AND problem IS NULL AND id <> ALL($1) ORDER BY id LIMIT $2",
        settings.table
    );
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let statement = client.prepare(&sql).await.map_err(|error| of(&error))?;
    let rows = client.query(&statement, &[&known, &limit]).await.map_err(|error| of(&error))?;
    let mut found = Found { events: Vec::new(), broken: Vec::new(), more: rows.len() == max, waiting: false };
    for row in rows {
        let (id, is_settled): (i64, bool) = (row.get(0), row.get(1));
        // IMPORTANT: stop here rather than leave the row out, or a later event of its key would come first.
        if !is_settled {
            (found.waiting, found.more) = (true, false);
            break;
        }
        match cloudevents::from_json(row.get::<_, &str>(2).as_bytes(), SystemTime::now()) {
            Ok(event) => found.events.push((id, event)),
            Err(problem) => found.broken.push((id, problem.to_string())),
        }
    }
    Ok(found)
}

/// Deletes or marks rows that were handled.
pub(super) async fn done(client: &Client, settings: &Settings, ids: &[i64]) -> Result<(), Error> {
    let table = &settings.table;
    let sql = if settings.keep {
        format!("UPDATE {table} SET handled_at = now() WHERE id = ANY($1)")
    } else {
        format!("DELETE FROM {table} WHERE id = ANY($1)")
    };
    client.execute(&sql, &[&ids]).await.map(drop).map_err(|error| of(&error))
}

/// Sets a row aside.
pub(super) async fn set_aside(
    client: &Client,
    settings: &Settings,
    id: i64,
    problem: &str,
) -> Result<(), Error> {
    tracing::error!(id, problem, table = settings.table, "a row of the outbox is no event and is set aside");
    let sql = format!("UPDATE {} SET problem = $2 WHERE id = $1", settings.table);
    client.execute(&sql, &[&id, &problem]).await.map(drop).map_err(|error| of(&error))
}

/// Appends events, in order.
pub(super) async fn append(
    client: &impl GenericClient,
    settings: &Settings,
    events: &[Event],
) -> Result<(), Error> {
    let mut texts = Vec::with_capacity(events.len());
    for event in events {
        let json = cloudevents::to_json(event).map_err(|error| rejected(error.to_string()))?;
        texts.push(String::from_utf8(json).map_err(|error| rejected(error.to_string()))?);
    }
    let sql = format!(
        "INSERT INTO {} (event) SELECT text::json FROM unnest($1::text[]) WITH ORDINALITY AS t(text, place) \
         ORDER BY place",
        settings.table
    );
    client.execute(&sql, &[&texts]).await.map(drop).map_err(|error| of(&error))
}
