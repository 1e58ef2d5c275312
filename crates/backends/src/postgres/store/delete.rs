use steadfast_core::store::{Deleted, Durability, Error, Expected, Outcome, Revision};
use tokio_postgres::Client;

use super::append::{SYNCHRONOUS_COMMIT, expected};
use super::error::of;

/// Deletes the events of a stream; what is committed `achieves` so much.
pub(super) async fn delete(
    client: &Client,
    stream: &str,
    condition: Option<Expected>,
    achieves: Durability,
) -> Result<Deleted, Error> {
    let sql = "SELECT outcome, deleted, actual FROM steadfast_delete($1, $2, $3)";
    let condition = condition.map(expected);
    let row = client
        .query_one(sql, &[&SYNCHRONOUS_COMMIT, &stream, &condition])
        .await
        .map_err(|error| of("deleting from PostgreSQL", &error, Outcome::Unknown))?;
    if row.get::<_, &str>(0) == "conflict" {
        let actual = row.get::<_, Option<i64>>(2).map(|revision| Revision(revision as u64));
        return Err(Error::Conflict { stream: stream.into(), actual });
    }
    Ok(Deleted { events: row.get::<_, i64>(1) as u64, achieved: achieves })
}
