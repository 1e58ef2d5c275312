//! What a supervised pool looks like at one moment.

use serde::Serialize;

use super::{Health, PoolHealthPolicy, WaitTimes};

/// What a pool has, and what its supervisor has found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the pool.
    pub name: String,
    /// How the pool is.
    pub health: Health,
    /// How many connections it has.
    pub size: u64,
    /// How many of them are idle.
    pub idle: u64,
    /// How many are in use.
    pub in_use: u64,
    /// How many callers wait for one.
    pub waiting: u64,
    /// How long callers have waited.
    pub wait_times: WaitTimes,
    /// How many rounds were made.
    pub rounds: u64,
    /// How many of them left connections to callers that they would have checked.
    pub yielded: u64,
    /// How many checks were answered in time.
    pub fast: u64,
    /// How many connections did not answer in time.
    pub slow: u64,
    /// How many connections failed.
    pub broken: u64,
    /// How many connections were stale: slow or broken.
    pub stale: u64,
    /// How many were closed for it.
    pub evicted: u64,
    /// How many stale ones were given back, since the server did not answer either.
    pub kept: u64,
    /// How many connections were opened beside the pool, to know whether the server is well.
    pub opened: u64,
    /// How many of those did not answer.
    pub opened_failed: u64,
    /// How often the health changed.
    pub changes: u64,
    /// How long the slowest of those took that answered in time in the last round that checked, in microseconds.
    pub slowest_us: u64,
    /// The last error of a connection.
    pub last_error: Option<String>,
    /// What holds for the next round.
    pub policy: PoolHealthPolicy,
}
