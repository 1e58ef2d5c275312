//! What goes wrong between us and the server, and what it means to whoever asked.

use std::io;

use serde::Deserialize;
use steadfast_core::store::{Error, Outcome};
use steadfast_core::transport;

/// What the server says when it has stored something else meanwhile.
const WRONG_LAST: [u64; 3] = [10070, 10071, 10164];
/// What it says when a message may not be stored for want of room: limits of the stream, of the account, of the server.
const FULL: [u64; 4] = [10002, 10023, 10028, 10047];
/// What it says when it could not store a message, for which there are many reasons.
const STORE_FAILED: u64 = 10077;
/// What it says when the stream is not there.
const NO_STREAM: u64 = 10059;

/// Why a request has led to nothing.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The server cannot be reached, or does not answer; if it was asked to store something it may have.
    Away(String),
    /// It does not serve the stream at this moment, and has done nothing.
    Absent(String),
    /// It has said no, and has done nothing.
    Refused(Refusal),
    /// Trying again does not help.
    Final(Error),
}

/// How the server says no.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: u16,
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

impl Refusal {
    /// Something else was stored first.
    fn is_late(&self) -> bool {
        WRONG_LAST.contains(&self.err_code)
    }

    /// There is no room.
    fn is_full(&self) -> bool {
        let reached = self.err_code == STORE_FAILED && self.description.contains("maximum");
        reached || FULL.contains(&self.err_code)
    }

    /// Says whether asking again may help.
    fn passes(&self) -> bool {
        self.code >= 500 && !self.is_full()
    }
}

impl Failure {
    /// Says what it means for good, once nobody tries again.
    pub(super) fn into_error(self, doing: &'static str, outcome: Outcome) -> Error {
        match self {
            Self::Final(error) => error,
            Self::Away(reason) | Self::Absent(reason) => away(doing, reason, outcome),
            Self::Refused(refusal) if refusal.is_full() && outcome == Outcome::NotAppended => {
                tracing::warn!(reason = refusal.description, "NATS has no room");
                Error::Full
            }
            Self::Refused(refusal) => Error::io(doing, io::Error::other(refusal.description), outcome),
        }
    }

    /// Something else was stored first.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_late())
    }

    /// Says whether asking again may help.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Away(_) | Self::Absent(_) => true,
            Self::Refused(refusal) => refusal.passes(),
            Self::Final(_) => false,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if refusal.err_code == NO_STREAM {
            return Self::Absent(refusal.description);
        }
        Self::Refused(refusal)
    }
}

impl From<transport::Error> for Failure {
    fn from(error: transport::Error) -> Self {
        use steadfast_base::Classify as _;
        match error {
            transport::Error::Closed => Self::Final(Error::Closed),
            error if error.classify().is_retryable() => Self::Away(error.to_string()),
            error => {
                let refused = io::Error::new(io::ErrorKind::NotConnected, error.to_string());
                Self::Final(Error::io("connecting to NATS", refused, Outcome::NotAppended))
            }
        }
    }
}

/// Makes the error that the server is away.
pub(super) fn away(doing: &'static str, reason: String, outcome: Outcome) -> Error {
    Error::io(doing, io::Error::new(io::ErrorKind::NotConnected, reason), outcome)
}

/// Makes the error that a message is none of ours.
pub(super) fn damaged(stream: &str, sequence: u64, problem: impl std::fmt::Display) -> Error {
    let place = format!("message {sequence} of the stream `{stream}`");
    Error::Damaged { place, problem: problem.to_string() }
}
