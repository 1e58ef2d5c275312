//! What an error of the driver means to whoever called.

use async_nats::{ConnectError, ConnectErrorKind, client::RequestErrorKind};
use steadfast_core::transport::Error;

use super::SYSTEM;

pub(super) fn unavailable(reason: impl Into<String>) -> Error {
    Error::Unavailable { system: SYSTEM, reason: reason.into() }
}

pub(super) fn configuration(field: &'static str, problem: impl Into<String>) -> Error {
    Error::Configuration { system: SYSTEM, field, problem: problem.into() }
}

/// The stream, its groups or their bucket could not be asked.
pub(super) fn asked(what: &str, error: impl std::fmt::Display) -> Error {
    unavailable(format!("{what}: {error}"))
}

pub(super) fn of_connect(error: &ConnectError) -> Error {
    let reason = error.to_string();
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Error::Denied { system: SYSTEM, reason }
        }
        ConnectErrorKind::ServerParse => configuration("address", reason),
        _ => unavailable(reason),
    }
}

pub(super) fn of_request(kind: RequestErrorKind, reason: String) -> Error {
    match kind {
        RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
            Error::Rejected { system: SYSTEM, reason }
        }
        _ => unavailable(reason),
    }
}
