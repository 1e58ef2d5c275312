use serde::{Deserialize, Serialize};

use crate::{Fault, LeaseId};

/// What a target is asked, one JSON object on one line.
///
/// # Examples
/// ```
/// use steadfast_fault::control::Request;
///
/// let request: Request = serde_json::from_str(r#"{"op": "renew", "id": "slow", "ttlMs": 3000}"#)?;
/// assert_eq!(request, Request::Renew { id: "slow".parse()?, ttl_ms: 3000 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// Asks who listens.
    Hello {},
    /// Injects a fault, or renews the lease when the same was injected before.
    Inject {
        /// The name of the lease.
        id: LeaseId,
        /// The milliseconds after which the fault ends unless it is renewed, 1 to 3,600,000.
        ttl_ms: u64,
        /// What is to be done.
        fault: Fault,
        /// Where the share of calls and their jitter are drawn from; from the id when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    },
    /// Lets a lease end later, or earlier.
    Renew {
        /// The name of the lease.
        id: LeaseId,
        /// The milliseconds after which the fault ends unless it is renewed, 1 to 3,600,000.
        ttl_ms: u64,
    },
    /// Ends a lease.
    Revoke {
        /// The name of the lease.
        id: LeaseId,
    },
    /// Asks for all leases that are active or remembered.
    List {},
}
