//! What an error of the driver means to whoever called.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};
use steadfast_core::transport::Error;

use super::SYSTEM;

pub(super) fn unavailable(reason: impl Into<String>) -> Error {
    Error::Unavailable { system: SYSTEM, reason: reason.into() }
}

/// Says whether the connection has to be made again.
pub(super) fn is_connection_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || error.kind() == ErrorKind::Parse
}

pub(super) fn map(error: &RedisError) -> Error {
    if is_connection_lost(error) {
        return unavailable(error.to_string());
    }
    let reason = error.to_string();
    match error.code() {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED") => {
            return Error::Denied { system: SYSTEM, reason };
        }
        Some("OOM") => return Error::Overloaded { system: SYSTEM, retry_after: None },
        Some("MISCONF" | "NOREPLICAS" | "BUSY" | "UNKILLABLE" | "NOGROUP") => return unavailable(reason),
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Error::Denied { system: SYSTEM, reason }
        }
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::ExecAbort,
        ) => unavailable(reason),
        ErrorKind::InvalidClientConfig => {
            Error::Configuration { system: SYSTEM, field: "address", problem: reason }
        }
        _ => Error::Rejected { system: SYSTEM, reason },
    }
}
