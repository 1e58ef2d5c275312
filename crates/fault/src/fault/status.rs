use std::fmt;
use std::str::FromStr;

use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

/// The names of the codes 0 to 16, as gRPC defines them.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A gRPC status code, written by its name.
///
/// # Examples
/// ```
/// use steadfast_fault::GrpcStatus;
///
/// let status: GrpcStatus = "UNAVAILABLE".parse()?;
/// assert_eq!(status.code(), 14);
/// assert!("Unavailable".parse::<GrpcStatus>().is_err());
/// # Ok::<(), steadfast_fault::UnknownStatus>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrpcStatus(u8);

impl GrpcStatus {
    /// The status of a call that succeeded.
    pub const OK: Self = Self(0);
    /// The service cannot be reached for now.
    pub const UNAVAILABLE: Self = Self(14);

    /// Returns the number of the code, 0 to 16.
    pub fn code(self) -> u8 {
        self.0
    }

    /// Returns the names of all codes, in the order of their numbers.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// Returns the name, such as `UNAVAILABLE`.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<GrpcStatus> for String {
    fn from(status: GrpcStatus) -> Self {
        status.name().to_owned()
    }
}

/// A text that is not the name of a gRPC status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a gRPC status; write one of {names}", names = NAMES.join(", "))]
pub struct UnknownStatus(pub String);

impl FromStr for GrpcStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = NAMES.iter().position(|name| *name == text).and_then(|code| u8::try_from(code).ok());
        code.map(Self).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

impl TryFrom<String> for GrpcStatus {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Says whether a request is a gRPC call, by its content type.
pub(super) fn is_grpc<B>(request: &http::Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    // `application/grpc-web` is another protocol, spoken over plain HTTP.
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
