use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Lease, LeaseError};

/// What a target answers, one JSON object on one line: `{"ok": true, …}` or `{"ok": false, "error": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum Response {
    /// Who listens.
    Hello(Hello),
    /// The lease that was injected, renewed or revoked.
    Lease(Box<Lease>),
    /// The remembered leases that have ended, oldest first, then the active ones.
    Leases(Vec<Lease>),
    /// Why nothing was done.
    Refused(Refusal),
}

/// Who listens on a control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The version of the protocol.
    pub version: u32,
    /// The process that listens.
    pub pid: u32,
    /// The number of worker threads of its runtime; 0 without one.
    pub workers: usize,
    /// The kinds of faults that it knows, by their keys.
    pub kinds: Vec<String>,
}

/// Why a target did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, for programs.
    pub code: Code,
    /// The reason, for people.
    pub message: String,
}

/// The reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Code {
    /// The line is not a request of this protocol.
    Malformed,
    /// The line is longer than 65,536 bytes; the connection is closed.
    TooLong,
    /// The fault or the time to live is wrong.
    Invalid,
    /// An active lease of this id holds another fault.
    Exists,
    /// The lease of this id has ended.
    Ended,
    /// No lease of this id is known.
    Unknown,
    /// Another lease stalls the runtime.
    Conflict,
    /// As many leases are held as are allowed.
    Limit,
    /// The target cannot do it now: all connections are taken, or no thread could be started.
    Busy,
    /// The target cannot do it at all.
    Unsupported,
    /// A reason that this version of the client does not know.
    #[serde(other)]
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<LeaseError> for Refusal {
    fn from(error: LeaseError) -> Self {
        let code = match error {
            LeaseError::Fault(_) | LeaseError::Ttl => Code::Invalid,
            LeaseError::Exists => Code::Exists,
            LeaseError::Ended => Code::Ended,
            LeaseError::Unknown => Code::Unknown,
            LeaseError::Conflict => Code::Conflict,
            LeaseError::Limit => Code::Limit,
            LeaseError::Unsupported => Code::Unsupported,
            LeaseError::Thread => Code::Busy,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<Result<Lease, LeaseError>> for Response {
    fn from(result: Result<Lease, LeaseError>) -> Self {
        match result {
            Ok(lease) => Self::Lease(Box::new(lease)),
            Err(error) => Self::Refused(error.into()),
        }
    }
}

/// The response as it is written. A field that is not known is passed over, so that a newer target can say more.
#[derive(Serialize, Deserialize)]
struct Wire {
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hello: Option<Hello>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<Box<Lease>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leases: Option<Vec<Lease>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

impl From<Response> for Wire {
    fn from(response: Response) -> Self {
        let mut wire = Self { ok: true, hello: None, lease: None, leases: None, error: None };
        match response {
            Response::Hello(hello) => wire.hello = Some(hello),
            Response::Lease(lease) => wire.lease = Some(lease),
            Response::Leases(leases) => wire.leases = Some(leases),
            Response::Refused(refusal) => (wire.ok, wire.error) = (false, Some(refusal)),
        }
        wire
    }
}

impl TryFrom<Wire> for Response {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        match wire {
            Wire { ok: true, hello: Some(hello), .. } => Ok(Self::Hello(hello)),
            Wire { ok: true, lease: Some(lease), .. } => Ok(Self::Lease(lease)),
            Wire { ok: true, leases: Some(leases), .. } => Ok(Self::Leases(leases)),
            Wire { ok: false, error: Some(refusal), .. } => Ok(Self::Refused(refusal)),
            Wire { ok: true, .. } => Err("`ok` is true but neither hello, lease nor leases are given"),
            Wire { ok: false, .. } => Err("`ok` is false but no error is given"),
        }
    }
}
