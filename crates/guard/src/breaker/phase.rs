//! What a breaker shows of itself.

use serde::Serialize;

/// The phase that a breaker is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Calls pass.
    Closed,
    /// Calls are refused. It stays so until the first call after its time, which becomes a probe.
    Open,
    /// Probes are let through, all other calls are refused.
    HalfOpen,
}

impl Phase {
    /// Returns the name that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What a breaker has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed, those among them that were dropped after their deadline.
    pub failed: u64,
    /// Calls that were dropped before their deadline.
    pub abandoned: u64,
    /// Calls that were slow, however they ended.
    pub slow: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// How often the breaker opened.
    pub opened: u64,
}

/// What a breaker looks like at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The name of the breaker.
    pub name: String,
    /// The phase that it is in.
    pub phase: Phase,
    /// How many calls are under way.
    pub in_flight: usize,
    /// What it has seen.
    pub counts: Counts,
}
