//! Retries: asking again when that can help, and only as often as the callee can bear.
//!
//! What [`Classify`](steadfast_base::Classify) calls transient is repeated after an exponential back-off with full
//! jitter, while the shared [`Budget`](steadfast_base::Budget) has something left (so that a broken callee gets a
//! fifth more calls, not three times as many) and the next attempt would begin before the request's deadline.
//! Requests must be such that the callee recognises a repetition; [`Context::key`](steadfast_base::Context::key) is
//! the same in every attempt.

mod future;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use future::RetryFuture;
pub use layer::RetryLayer;
pub use policy::RetryPolicy;
pub use service::RetryService;
