//! Leases: how long a fault holds, and what it did.

mod active;
mod dose;
mod error;
mod id;
mod registry;

use serde::{Deserialize, Serialize};

pub(crate) use self::active::Active;
pub use self::dose::Dose;
pub(crate) use self::dose::Meter;
pub use self::error::LeaseError;
pub use self::id::InvalidLeaseId;
pub use self::id::LeaseId;
pub(crate) use self::registry::Registry;
pub use self::registry::TTL_MAX;
use crate::Fault;

/// A fault that was injected, as the target reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The name that whoever injected it gave.
    pub id: LeaseId,
    /// What is done.
    pub fault: Fault,
    /// Whether it is still done.
    pub state: LeaseState,
    /// The milliseconds until it expires unless it is renewed; 0 when it has ended.
    pub expires_in_ms: u64,
    /// The milliseconds for which it has been held, or was until it ended.
    pub held_ms: u64,
    /// What it did so far.
    pub dose: Dose,
}

/// Whether a lease is held, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseState {
    /// The fault is being injected.
    Active,
    /// Nobody renewed the lease in time.
    Expired,
    /// The lease was ended on request.
    Revoked,
}
