//! Build event-driven backends that are proven under fault.
//!
//! This crate is the one that a service names. It re-exports the libraries by feature, and holds what a process
//! needs around them: [`runtime`], [`shutdown`], [`config`], [`telemetry`], [`problem`]
//! documents, and with `guard` the answers to what guards refuse (`answer`).
//!
//! | feature (on by default) | module | what it is |
//! |---|---|---|
//! | – | [`base`] | deadlines, request context, budgets, seeds, units |
//! | `core` | `core` | events, the event store's contract, bus, aggregates |
//! | `guard` | `guard` | deadlines, retries, timeouts and circuit breakers as tower layers |
//! | `file` | `backends::file` | an event store in a folder |
//! | `fault` | `fault` | the injector that an experiment reaches a service through |
//!
//! `diagnostics` (off by default) brings the module of that name: what a running program is doing, for who has the
//! token. `encryption` (off by default) brings ciphers for `core::encryption`.
//! Each driver is a feature that is off by default: `http`, `timer`, `redis`, `nats`, `kafka`, `sqlite`, `postgres`, in
//! `backends`. `grpc`, `postgres-pool`, `redis-pool` and `redis-limit` put `guard` to
//! them. `full` is everything.
//!
//! # Examples
//! A service with logs, metrics and an orderly end:
//! ```no_run
//! use std::process::ExitCode;
//!
//! use steadfast::runtime::{self, RuntimeConfig};
//! use steadfast::telemetry::{self, Metrics, TelemetryConfig};
//!
//! fn main() -> ExitCode {
//!     runtime::run(&RuntimeConfig::default(), |shutdown| async move {
//!         telemetry::init(&TelemetryConfig::default())?;
//!         let metrics = Metrics::new("hello");
//!         let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!         axum::serve(listener, metrics.router()).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     })
//! }
//! ```

#[cfg(all(doctest, feature = "full"))]
mod guide;

#[cfg(feature = "guard")]
pub mod answer;
pub mod config;
#[cfg(feature = "diagnostics")]
pub mod diagnostics;
#[cfg(all(test, feature = "guard"))]
mod idle_pool;
pub mod problem;
pub mod runtime;
pub mod shutdown;
pub mod telemetry;

#[cfg(any(
    feature = "file",
    feature = "grpc",
    feature = "http",
    feature = "kafka",
    feature = "nats",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite",
    feature = "timer",
))]
pub use steadfast_backends as backends;
pub use steadfast_base as base;
#[cfg(feature = "core")]
pub use steadfast_core as core;
#[cfg(feature = "fault")]
pub use steadfast_fault as fault;
#[cfg(feature = "guard")]
pub use steadfast_guard as guard;
