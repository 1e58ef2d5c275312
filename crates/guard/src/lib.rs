//! Guards between a caller and a callee that may be slow, failing or gone: deadlines, retries, timeouts and circuit
//! breakers as [tower](https://docs.rs/tower) layers.
//!
//! A guard knows no transport. What it must know of a request it reads through [`Context`], whether a result is a
//! failure and whether asking again can help through [`Classify`]. A guard that refuses a call says so by a
//! [`Rejection`], which it hands out as the error of the service it wraps (`S::Error: From<Rejection>`), so that
//! errors do not nest by the depth of the stack. [`Error`] is such an error, ready-made.
//!
//! Order is behaviour. The stack for an outgoing call, outermost first:
//!
//! 1. [`DeadlineLayer`]: what is left of the caller's time, less our own overhead, bounds all that follows;
//! 2. [`RetryLayer`]: repeats within that time, each attempt with a deadline of its own ([`TimeoutLayer`] bounds a step
//!    where nothing is repeated);
//! 3. [`BreakerLayer`]: sees each attempt, and fails it fast while the callee is unwell;
//! 4. the transport, which sends the attempt's deadline along ([`grpc_timeout_header`]).
//!
//! Against load there are five more: [`rate_limit`] (calls per time), [`bulkhead`] (calls at a time), [`shed`] (calls at
//! a time, by a number that is found), [`hedge`] (a second attempt where the first is late) and [`fallback`] (something
//! else where the callee fails). A fallback stands outermost, a hedge above retries, the other three between retries
//! and breaker.
//!
//! For an incoming call: [`ServerDeadlineLayer`], what makes calls wait, [`RefuseExpiredLayer`], the handler.
//!
//! # What a guard costs
//! A call that succeeds allocates nothing. It passes deadlines, retries, timeouts and breakers without a lock, and two
//! threads that use one of them do not contend for it: each writes to places of its own. The clock is read once by
//! deadlines and timeouts, and only where there is a time to keep by retries and breakers. Timers are set when a call
//! has to wait for the first time; one that was not needed is kept for the next call that waits on the same thread.
//!
//! Besides calls there is work of one's own: [`scope`] owns background tasks, [`workers`] run jobs under a memory quota,
//! [`pool_health`] finds dead connections before callers do.
//!
//! # Examples
//! ```
//! use std::{sync::Arc, time::Duration};
//! use steadfast_base::{Budget, Seed};
//! use steadfast_guard::{Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Error, RetryLayer, RetryPolicy};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error<std::convert::Infallible>> {
//! let breaker = Breaker::new("payment", BreakerPolicy::default());
//! let payment = ServiceBuilder::new()
//!     .layer(DeadlineLayer::new(Duration::from_millis(20), Duration::from_secs(3)))
//!     .layer(RetryLayer::new(RetryPolicy::default(), Arc::new(Budget::default()), Seed::random()))
//!     .layer(BreakerLayer::new(breaker.clone()))
//!     .map_err(Error::Inner)
//!     .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
//!
//! let response = payment.oneshot(http::Request::new(())).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(breaker.counts().succeeded, 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`Context`]: steadfast_base::Context
//! [`Classify`]: steadfast_base::Classify

mod bounded;
pub mod breaker;
pub mod bulkhead;
pub mod deadline;
mod error;
pub mod fallback;
mod gate;
pub mod hedge;
mod histogram;
mod pause;
mod policy;
pub mod pool_health;
mod probe;
pub mod rate_limit;
mod rejection;
pub mod retry;
pub mod scope;
pub mod shed;
pub mod stack;
mod status;
mod stripes;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timeout;
mod timer;
mod unready;
pub mod workers;

pub use breaker::Breaker;
pub use breaker::BreakerLayer;
pub use breaker::BreakerPolicy;
pub use breaker::Registry;
pub use bulkhead::Bulkhead;
pub use bulkhead::BulkheadLayer;
pub use bulkhead::BulkheadPolicy;
pub use deadline::DeadlineLayer;
pub use deadline::RefuseExpiredLayer;
pub use deadline::ServerDeadlineLayer;
pub use deadline::grpc_timeout_header;
pub use deadline::parse_grpc_timeout;
pub use error::Error;
pub use fallback::FallbackLayer;
pub use hedge::Hedge;
pub use hedge::HedgeLayer;
pub use hedge::HedgePolicy;
pub use policy::PolicyError;
pub use pool_health::PoolHealth;
pub use pool_health::PoolHealthPolicy;
pub use probe::Observed;
pub use probe::Probe;
pub use rate_limit::HttpRateLimitLayer;
pub use rate_limit::KeyedRateLimiter;
pub use rate_limit::Quota;
pub use rate_limit::RateLimitLayer;
pub use rate_limit::RateLimitPolicy;
pub use rate_limit::RateLimiter;
pub use rate_limit::SharedRateLimitLayer;
pub use rejection::Rejection;
pub use retry::RetryLayer;
pub use retry::RetryPolicy;
pub use scope::Scope;
pub use scope::ScopePolicy;
pub use shed::Shed;
pub use shed::ShedLayer;
pub use shed::ShedPolicy;
pub use stack::Stack;
pub use timeout::TimeoutLayer;
pub use workers::Workers;
pub use workers::WorkersPolicy;
