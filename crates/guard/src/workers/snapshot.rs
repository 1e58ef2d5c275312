//! What a pool looks like at one moment.

use serde::Serialize;

use super::memory::PressureSource;

/// What a pool has done, and what it is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the pool.
    pub name: String,
    /// How large the resident set of the process may become, in bytes.
    pub quota: u64,
    /// How large it was at the last sample, in bytes.
    pub resident: u64,
    /// What the jobs that run have reserved, in bytes.
    pub reserved: u64,
    /// How many jobs run.
    pub running: u64,
    /// How many jobs wait.
    pub queued: u64,
    /// How many jobs may run at a time now.
    pub concurrency: u64,
    /// How many may at most.
    pub concurrency_max: u64,
    /// How many jobs were taken.
    pub taken: u64,
    /// How many jobs were refused.
    pub refused: u64,
    /// How many ended by themselves.
    pub finished: u64,
    /// How many panicked.
    pub panicked: u64,
    /// How many were not started before their deadline.
    pub expired: u64,
    /// How many were cancelled while they waited.
    pub cancelled: u64,
    /// How many were not started since the pool closed or there was no thread.
    pub not_started: u64,
    /// How often memory was sampled.
    pub samples: u64,
    /// How often that failed.
    pub samples_failed: u64,
    /// How often the kernel told of memory pressure.
    pub pressures: u64,
    /// How it tells.
    pub pressure_source: PressureSource,
}
