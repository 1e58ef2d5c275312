//! Guards between a caller and a callee that may be slow, failing or gone: deadlines, retries and circuit breakers
//! as [tower](https://docs.rs/tower) layers.
//!
//! A guard knows no transport. What it must know of a request it reads through [`Context`], whether a result is a
//! failure and whether asking again can help through [`Classify`]. A guard that refuses a call says so by a
//! [`Rejection`], which it hands out as the error of the service it wraps (`S::Error: From<Rejection>`), so that
//! errors do not nest by the depth of the stack. [`Error`] is such an error, ready-made.
//!
//! Order is behaviour. The stack for an outgoing call, outermost first:
//!
//! 1. [`DeadlineLayer`]: what is left of the caller's time, less our own overhead, bounds all that follows;
//! 2. [`RetryLayer`]: repeats within that time, each attempt with a deadline of its own;
//! 3. [`BreakerLayer`]: sees each attempt, and fails it fast while the callee is unwell;
//! 4. the transport, which sends the attempt's deadline along ([`grpc_timeout_header`]).
//!
//! Besides calls there is work of one's own: [`scope`] owns background tasks, [`workers`] run jobs under a memory quota.
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

pub mod breaker;
pub mod deadline;
mod error;
mod rejection;
pub mod retry;
pub mod scope;
#[cfg(test)]
mod testing;
pub mod workers;

pub use breaker::Breaker;
pub use breaker::BreakerLayer;
pub use breaker::BreakerPolicy;
pub use breaker::Registry;
pub use deadline::DeadlineLayer;
pub use deadline::ServerDeadlineLayer;
pub use deadline::grpc_timeout_header;
pub use deadline::parse_grpc_timeout;
pub use error::Error;
pub use rejection::Rejection;
pub use retry::RetryLayer;
pub use retry::RetryPolicy;
pub use scope::Scope;
pub use scope::ScopePolicy;
pub use workers::Workers;
pub use workers::WorkersPolicy;
