//! What a limiter looks like at one moment.

use serde::Serialize;

use super::Mode;

/// Who decides, and how often who did.
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
    /// How many calls the local share decided.
    pub local: u64,
    /// How many calls were refused, by whomever.
    pub refused: u64,
    /// How many calls got no answer in time.
    pub timeouts: u64,
    /// How many calls got an error for an answer.
    pub errors: u64,
}
