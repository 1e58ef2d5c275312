//! Retries: asking again when that can help, and only as often as the callee can bear.
//!
//! What [`Classify`](steadfast_base::Classify) calls transient is repeated after an exponential back-off with jitter,
//! while the shared [`Budget`](steadfast_base::Budget) has something left (so that a broken callee gets a fifth more
//! calls, not three times as many) and the next attempt would begin before the deadline. A callee can ask for a time to
//! be left alone, or not to be asked again: see [`pushback`]. Requests must be such that the callee recognises a
//! repetition; [`Context::key`](steadfast_base::Context::key) is the same in every attempt.

mod error;
mod future;
pub(crate) mod held;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use error::AttemptTimedOut;
pub use future::RetryFuture;
pub use layer::RetryCounts;
pub use layer::RetryLayer;
pub use policy::RetryPolicy;
pub use service::RetryService;
pub use steadfast_base::Pushback;
pub use steadfast_base::pushback;
