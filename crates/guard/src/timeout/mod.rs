//! Timeouts: how long one step may take, whatever the deadline of the whole.
//!
//! A deadline is the caller's, and when it has passed nobody waits any more. A timeout is ours: the step took longer
//! than it ever should, and something else can be tried in the time that is left. So its error says that a repetition
//! can help, where that of a deadline does not. The callee sees whichever comes first.
//!
//! The time runs from the call to the answer. Waiting for the service to become ready comes before, when the request is
//! not known yet; a queue that is to be bounded too belongs within the call.

mod error;
mod future;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use error::TimedOut;
pub use future::TimeoutFuture;
pub use layer::TimeoutLayer;
pub use policy::TimeoutPolicy;
pub use service::TimeoutService;
