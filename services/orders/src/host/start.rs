use std::future::Future;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use steadfast::runtime::{self, RuntimeConfig};
use steadfast::telemetry::{self, TelemetryConfig};
use tokio_util::sync::CancellationToken;

/// Runs a program on a runtime of two workers until it is asked to stop by SIGTERM or SIGINT, with its log lines on
/// standard error, filtered by `RUST_LOG`.
pub fn main<F>(program: impl FnOnce(CancellationToken) -> F + Send + 'static) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let config = RuntimeConfig { workers: NonZeroUsize::new(2), ..RuntimeConfig::default() };
    runtime::run(&config, |stopping| async move {
        telemetry::init(&TelemetryConfig::default())?;
        program(stopping).await
    })
}
