//! Fault vocabulary and the in-process fault injector.
//!
//! A fault is a function from a call to a [`Verdict`], held by a lease: it carries an expiry by the target's own
//! monotonic clock, and becomes inert by itself when whoever injected it no longer renews it. A service links
//! this crate, asks [`Injector::from_env`] for an injector and puts its [`FaultLayer`] innermost, so that the
//! real defences stay under test. While no lease is held a call costs a handful of instructions; when the
//! environment does not name a control socket there is no thread and no socket either.
//!
//! The crate goes into other people's processes. It knows nothing of events, stores or experiments.
//!
//! # Examples
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use steadfast_fault::{Fault, Injector, LeaseId};
//! use tower_layer::Layer;
//! use tower_service::Service;
//! # #[derive(Clone)]
//! # struct Hello;
//! # impl Service<http::Request<()>> for Hello {
//! #     type Response = http::Response<String>;
//! #     type Error = Infallible;
//! #     type Future = std::future::Ready<Result<Self::Response, Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
//! #         std::task::Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, _: http::Request<()>) -> Self::Future {
//! #         std::future::ready(Ok(http::Response::new("hello".to_owned())))
//! #     }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let injector = Injector::detached();
//! let mut service = injector.layer().layer(Hello);
//! assert_eq!(service.call(http::Request::new(())).await?.status(), 200);
//!
//! let refuse: Fault = serde_json::from_str(r#"{"http": {"status": 503}}"#)?;
//! let id: LeaseId = "refuse".parse()?;
//! injector.inject(&id, refuse, Duration::from_secs(3), None)?;
//! assert_eq!(service.call(http::Request::new(())).await?.status(), 503);
//!
//! let lease = injector.revoke(&id)?;
//! assert_eq!(lease.dose.affected, 1);
//! assert_eq!(service.call(http::Request::new(())).await?.status(), 200);
//! # Ok(())
//! # }
//! ```

pub mod control;
mod error;
mod fault;
mod injector;
mod layer;
mod lease;
mod stall;
mod verdict;

pub use error::Error;
pub use fault::Draw;
pub use fault::Fault;
pub use fault::GrpcFault;
pub use fault::GrpcStatus;
pub use fault::HttpFault;
pub use fault::InvalidFault;
pub use fault::RuntimeFault;
pub use fault::UnknownStatus;
pub use injector::Injector;
pub use injector::SOCKET_ENV;
pub use layer::FaultLayer;
pub use layer::FaultService;
pub use layer::LEASE_HEADER;
pub use layer::ResponseFuture;
pub use lease::Dose;
pub use lease::InvalidLeaseId;
pub use lease::Lease;
pub use lease::LeaseError;
pub use lease::LeaseId;
pub use lease::LeaseState;
pub use lease::TTL_MAX;
pub use verdict::Failure;
pub use verdict::Verdict;
