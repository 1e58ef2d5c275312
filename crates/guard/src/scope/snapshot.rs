//! What a scope looks like at one moment.

use std::collections::BTreeMap;

use serde::Serialize;

use super::PollTimes;

/// What a scope has done, and what is alive in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the scope.
    pub name: String,
    /// How many tasks are alive.
    pub alive: u64,
    /// How many were started.
    pub spawned: u64,
    /// How many were refused, for the scope was full or closed.
    pub refused: u64,
    /// How many ended by themselves.
    pub finished: u64,
    /// How many panicked.
    pub panicked: u64,
    /// How many were dropped at their deadline.
    pub expired: u64,
    /// How many were cancelled or aborted.
    pub cancelled: u64,
    /// The panics by the name of the task.
    pub panics: BTreeMap<&'static str, u64>,
    /// How many tasks were old at the last inspection.
    pub old: u64,
    /// How many tasks were in groups that are growing without end, at the last inspection.
    pub growing: u64,
    /// How long polls took, by the name of the task; of names beyond the 64th together, as `(others)`.
    pub polls: BTreeMap<&'static str, PollTimes>,
}
