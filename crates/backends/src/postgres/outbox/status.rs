use std::time::Duration;

use steadfast_core::transport::Error;
use tokio_postgres::Client;

use super::Settings;
use crate::postgres::error::of;

/// How an outbox stands, for gauges.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// How many events wait to be handled, also those being handled.
    pub waiting: u64,
    /// How long ago the transaction of the oldest of them began.
    pub oldest_age: Duration,
    /// How many rows were set aside because they hold no event.
    pub set_aside: u64,
}

/// Counts; that takes time in proportion to what waits.
pub(super) async fn status(client: &Client, settings: &Settings) -> Result<OutboxStatus, Error> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE problem IS NULL), count(*) FILTER (WHERE problem IS NOT NULL), \
         coalesce(extract(epoch FROM now() - min(made_at) FILTER (WHERE problem IS NULL)), 0)::float8 \
         FROM {} WHERE handled_at IS NULL",
        settings.table
    );
    let row = client.query_one(&sql, &[]).await.map_err(|error| of(&error))?;
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let age: f64 = row.get(2);
    Ok(OutboxStatus {
        waiting: number(row.get(0)),
        set_aside: number(row.get(1)),
        oldest_age: Duration::try_from_secs_f64(age.max(0.0)).unwrap_or_default(),
    })
}
