//! Deadlines: how long an answer is of use, from the caller through us to whom we call.
//!
//! - [`ServerDeadlineLayer`] reads what the caller says and puts a [`Deadline`](steadfast_base::Deadline) into the
//!   request's extensions. It drops nothing: a handler decides itself how to answer when time runs out.
//! - [`RefuseExpiredLayer`] stands behind a queue: a call whose time has passed while it waited is refused before it
//!   starts, up to a share of the calls.
//! - [`DeadlineLayer`] stands before an outgoing call, hands down what is left less an overhead, sends nothing when
//!   that is nothing, and drops the call when the time is up. The overhead is given, or measured.
//! - [`ServerTimingLayer`] says how long an answer took, from which callers learn that overhead.
//!
//! A deadline travels as the time that remains, for clocks differ. What carries it over the wire is read and written
//! by [`remaining_time`] and [`grpc_timeout_header`].

mod error;
mod expired;
mod future;
mod header;
mod inbound;
mod layer;
mod overhead;
mod policy;
mod service;
#[cfg(test)]
mod tests;
mod timing;

pub use error::DeadlineExceeded;
pub use error::InvalidTimeout;
pub use expired::ExpiredCounts;
pub use expired::RefuseExpiredFuture;
pub use expired::RefuseExpiredLayer;
pub use expired::RefuseExpiredPolicy;
pub use expired::RefuseExpiredService;
pub use future::DeadlineFuture;
pub use header::grpc_timeout_header;
pub use header::parse_grpc_timeout;
pub use header::remaining_time;
pub use inbound::ServerDeadlineLayer;
pub use inbound::ServerDeadlineService;
pub use layer::DeadlineLayer;
pub use overhead::Chosen;
pub use overhead::Fixed;
pub use overhead::Measured;
pub use overhead::Meter;
pub use overhead::Overhead;
pub use overhead::Stopwatch;
pub use policy::DeadlinePolicy;
pub use service::DeadlineService;
pub use timing::ServerTimingFuture;
pub use timing::ServerTimingLayer;
pub use timing::ServerTimingService;
