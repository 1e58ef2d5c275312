//! What a limiter looks like at one moment.

use serde::Serialize;
use steadfast_guard::pool_health::WaitTimes;

use super::Mode;

/// Who decides, how often who did, and what that took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// What each key begins with.
    pub prefix: String,
    /// Who decides now.
    pub mode: Mode,
    /// How often that has changed; the first connection is one.
    pub changes: u64,
    /// How many calls Redis decided.
    pub shared: u64,
    /// How many calls were decided by what Redis had said before: permits taken in advance, refusals remembered.
    pub leased: u64,
    /// How many calls the local share decided, for want of Redis.
    pub local: u64,
    /// How many calls were let through, by whomever.
    pub allowed: u64,
    /// How many calls were refused, by whomever; those too that ask for more than the burst, which nobody has to decide.
    pub refused: u64,
    /// How many calls got no answer in time.
    pub timeouts: u64,
    /// How many calls got an error for an answer.
    pub errors: u64,
    /// How long calls waited for answers of Redis, of which each is a round trip. Those that got none in time are not
    /// among them.
    pub round_trips: WaitTimes,
    /// How often permits were taken in advance.
    pub leases: u64,
    /// How many permits were taken in advance.
    pub leased_permits: u64,
    /// How many of them were given out. The others are still there to be given out, or were not needed in their time and
    /// are lost, to the other processes too: where many are, leases are too large, or end too soon.
    pub leased_permits_used: u64,
}
