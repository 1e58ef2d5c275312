use steadfast_core::transport::Error;
use tokio_postgres::Client;

use crate::postgres::error::of;

/// How a group's slot stands, for gauges: what it keeps on the server's disk, and how far behind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotStatus {
    /// The slot's name.
    pub slot: String,
    /// Whether a receiver is connected.
    pub active: bool,
    /// What the server says of the log it keeps for the slot: `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// How many bytes of the log the server keeps for the slot.
    pub retained_bytes: u64,
    /// How many bytes of the log have not been confirmed.
    pub lag_bytes: u64,
}

/// Asks for the slot's status; `None` if there is no such slot.
pub(super) async fn status(client: &Client, slot: &str) -> Result<Option<SlotStatus>, Error> {
    let sql = "SELECT active, coalesce(wal_status, ''), \
               coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8, \
               coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::int8 \
               FROM pg_replication_slots WHERE slot_name = $1";
    let row = client.query_opt(sql, &[&slot]).await.map_err(|error| of(&error))?;
    let bytes = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(row.map(|row| SlotStatus {
        slot: slot.to_owned(),
        active: row.get(0),
        wal_status: row.get(1),
        retained_bytes: bytes(row.get(2)),
        lag_bytes: bytes(row.get(3)),
    }))
}
