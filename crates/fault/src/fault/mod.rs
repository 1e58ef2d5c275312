//! The vocabulary: what can be done to a process from inside.

mod draw;
mod grpc;
mod http;
mod invalid;
mod runtime;
mod status;
mod timing;

use serde::{Deserialize, Serialize};

pub use self::draw::Draw;
pub use self::grpc::GrpcFault;
pub use self::http::HttpFault;
pub use self::invalid::InvalidFault;
pub use self::runtime::RuntimeFault;
pub use self::status::GrpcStatus;
pub use self::status::UnknownStatus;

/// One fault, written as an object with one key, such as `{"grpc": {"delay": "500ms", "percent": "50%"}}`.
///
/// # Examples
/// ```
/// use steadfast_fault::Fault;
///
/// let fault: Fault = serde_json::from_str(r#"{"grpc": {"status": "UNAVAILABLE", "percent": "30%"}}"#)?;
/// assert!(fault.validate().is_ok());
/// let unknown = serde_json::from_str::<Fault>(r#"{"grpc": {"statsu": "UNAVAILABLE"}}"#);
/// assert!(unknown.unwrap_err().to_string().contains("unknown field `statsu`"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Fault {
    /// Delays or answers HTTP requests that are not gRPC.
    Http(HttpFault),
    /// Delays or answers gRPC calls.
    Grpc(GrpcFault),
    /// Stalls all worker threads of the runtime.
    Runtime(RuntimeFault),
}

impl Fault {
    /// The kinds that this version of the injector knows, by their keys.
    pub const KINDS: [&'static str; 3] = ["http", "grpc", "runtime"];

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`InvalidFault`] for a fault that does nothing, whose jitter exceeds its delay, whose status is not one,
    /// or whose stalls would never end.
    pub fn validate(&self) -> Result<(), InvalidFault> {
        match self {
            Self::Http(fault) => fault.validate(),
            Self::Grpc(fault) => fault.validate(),
            Self::Runtime(fault) => fault.validate(),
        }
    }

    /// Returns the key of the kind, such as `http`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Grpc(_) => "grpc",
            Self::Runtime(_) => "runtime",
        }
    }
}
