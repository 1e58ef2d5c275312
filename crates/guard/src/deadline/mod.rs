//! Deadlines: how long an answer is of use, from the caller through us to whom we call.
//!
//! [`ServerDeadlineLayer`] reads what the caller says and puts a [`Deadline`](steadfast_base::Deadline) into the
//! request's extensions. It drops nothing: a handler decides itself how to answer when time runs out.
//! [`DeadlineLayer`] stands before an outgoing call, hands down what is left less an overhead, sends nothing when
//! that is nothing, and drops the call when the time is up.

mod future;
mod header;
mod layer;
mod server;
mod service;

pub use future::DeadlineFuture;
pub use header::InvalidTimeout;
pub use header::grpc_timeout_header;
pub use header::parse_grpc_timeout;
pub use layer::DeadlineLayer;
pub use server::ServerDeadlineLayer;
pub use server::ServerDeadlineService;
pub use service::DeadlineService;
