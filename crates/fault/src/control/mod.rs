//! The control protocol: newline-delimited JSON over a Unix socket, as `docs/fault-control.md` describes it.
//!
//! The target serves it on operating system threads of its own, so that a stalled runtime still renews and ends
//! its faults. [`Client`] is blocking for the same reason: whoever injects must not depend on a runtime either.

mod client;
mod endpoint;
mod line;
mod request;
mod response;
mod serve;
mod socket;

pub use self::client::Client;
pub use self::client::ClientError;
pub(crate) use self::endpoint::Endpoint;
pub use self::line::LINE_MAX;
pub use self::request::Request;
pub use self::response::Code;
pub use self::response::Hello;
pub use self::response::Refusal;
pub use self::response::Response;

/// The version of the protocol; a change that an older peer would misread raises it.
pub const VERSION: u32 = 1;

/// As many connections are served at once; further ones are answered `busy` and closed.
pub const CONNECTIONS_MAX: usize = 16;
