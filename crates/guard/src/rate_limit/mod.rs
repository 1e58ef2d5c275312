//! Rate limit: how many calls per time, for all or for each key.
//!
//! The algorithm is GCRA (ITU-T I.371, annex A): a token bucket kept as one number, the *theoretical arrival time* at
//! which the bucket would be full again. So there are no windows at whose edges twice the quota passes, no thread that
//! refills anything, and a key that has been idle needs no memory.
//!
//! - [`RateLimiter`] has one quota for all, [`KeyedRateLimiter`] one for each key, in memory that is bounded.
//! - [`RateLimitLayer`] puts one before a service. A call that does not conform is refused at once, or waits up to
//!   [`wait_max`](RateLimitPolicy::wait_max) and the request's deadline; one that would wait longer is refused before
//!   it waits.
//! - [`HttpRateLimitLayer`] is that for HTTP and gRPC servers: it answers 429 or `RESOURCE_EXHAUSTED` itself, and says
//!   in each answer how much of the quota is left.
//! - [`SharedLimiter`] is what a limiter for several processes implements, and [`SharedRateLimitLayer`] puts one before a
//!   service.
//!
//! A quota is changed while calls run by `set_quota`: what was used stays used, in permits.

mod error;
mod future;
mod gcra;
mod headers;
mod key;
mod keyed;
mod layer;
mod limit;
mod limiter;
mod policy;
mod quota;
mod reservation;
mod server;
mod service;
mod shared;
mod shared_layer;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use future::RateLimitFuture;
pub use headers::rate_limit_headers;
pub use key::Key;
pub use keyed::KeyedRateLimiter;
pub use layer::RateLimitLayer;
pub use limit::ByKey;
pub use limit::Limit;
pub use limit::Weighted;
pub use limiter::RateLimiter;
pub use policy::RateLimitPolicy;
pub use quota::Quota;
pub use reservation::Decision;
pub use reservation::Reservation;
pub use server::HttpRateLimitFuture;
pub use server::HttpRateLimitLayer;
pub use server::HttpRateLimitService;
pub use service::RateLimitService;
pub use shared::SharedLimiter;
pub use shared_layer::SharedRateLimitFuture;
pub use shared_layer::SharedRateLimitLayer;
pub use shared_layer::SharedRateLimitService;
