//! What an error of the driver means to whoever called.

use ::redis::{ErrorKind, RedisError};
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
    match code(error).as_deref() {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED") => {
            return Error::Denied { system: SYSTEM, reason };
        }
        Some("OOM") => return Error::Overloaded { system: SYSTEM, retry_after: None },
        Some(
            "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "EXECABORT" | "MISCONF"
            | "NOREPLICAS" | "BUSY" | "UNKILLABLE" | "NOGROUP",
        ) => return unavailable(reason),
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Error::Denied { system: SYSTEM, reason },
        ErrorKind::InvalidClientConfig => {
            Error::Configuration { system: SYSTEM, field: "address", problem: reason }
        }
        _ => Error::Rejected { system: SYSTEM, reason },
    }
}

/// Returns the word that the server's error begins with; of several commands sent at once, the first one's.
pub(super) fn code(error: &RedisError) -> Option<String> {
    let of_several = || Some(error.clone().into_server_errors()?.first()?.1.code().to_owned());
    error.code().map(str::to_owned).or_else(of_several)
}
