//! Logs to stderr and metrics for Prometheus. Only binaries set them up; libraries record through `tracing`.

#[cfg(feature = "guard")]
mod breakers;
#[cfg(feature = "guard")]
mod connections;
#[cfg(feature = "guard")]
mod guards;
mod logs;
#[cfg(feature = "core")]
mod machines;
mod metrics;
#[cfg(feature = "core")]
mod projections;
#[cfg(feature = "core")]
mod repositories;
#[cfg(feature = "guard")]
mod scopes;
#[cfg(feature = "redis-limit")]
mod shared_limits;
#[cfg(any(feature = "core", feature = "guard"))]
mod text;
#[cfg(feature = "guard")]
mod workers;

pub use logs::Error;
pub use logs::Format;
pub use logs::TelemetryConfig;
pub use logs::init;
pub use metrics::Metrics;
