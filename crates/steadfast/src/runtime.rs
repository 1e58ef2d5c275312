//! The main function of a service: runtime, signals, an orderly end and the exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::HumanDuration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::shutdown::{Signals, drain};

/// The runtime of a service.
///
/// # Examples
/// ```
/// use steadfast::runtime::RuntimeConfig;
///
/// let config: RuntimeConfig = serde_json::from_str(r#"{"workers": 4, "drain": "30s"}"#)?;
/// assert_eq!(config.name, "worker");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RuntimeConfig {
    /// How many threads run tasks; `None`: one per core.
    pub workers: Option<NonZeroUsize>,
    /// What these threads are called, with a number behind it. The kernel cuts a thread's name to 15 bytes.
    pub name: String,
    /// How long work that is under way may take once a shutdown was asked for.
    pub drain: HumanDuration,
}

impl Default for RuntimeConfig {
    /// One thread per core, and 10 s to drain.
    fn default() -> Self {
        Self { workers: None, name: "worker".to_owned(), drain: HumanDuration(Duration::from_secs(10)) }
    }
}

/// How long blocking work may still run after `main` has returned.
const BLOCKING_MAX: Duration = Duration::from_secs(1);

/// Runs `main` on a new runtime until it returns, and says how the process ends: 0 when it returned `Ok`, else 1,
/// with the error and its causes in the log (on stderr when no log is set up yet).
///
/// `main` gets the token that the first SIGTERM or SIGINT cancels. From then on it has
/// [`drain`](RuntimeConfig::drain) to return; a second signal ends the process at once.
pub fn run<M, F, E>(config: &RuntimeConfig, main: M) -> ExitCode
where
    M: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    match try_run(config, main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Builds the runtime of a service, with named threads.
///
/// # Errors
/// When the operating system refuses a thread or a descriptor.
pub fn build(config: &RuntimeConfig) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = config.workers {
        builder.worker_threads(workers.get());
    }
    let (name, next) = (config.name.clone(), AtomicUsize::new(0));
    builder.thread_name_fn(move || format!("{name}-{}", next.fetch_add(1, Ordering::Relaxed)));
    builder.enable_all().build()
}

fn try_run<M, F, E>(config: &RuntimeConfig, main: M) -> Result<(), Box<dyn Error + Send + Sync>>
where
    M: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let signals = Signals::listen()?;
    let runtime = build(config)?;
    let result = runtime.block_on(async {
        let shutdown = signals.token();
        // On a worker, where waking its tasks costs least, and not on this thread.
        let main = tokio::spawn(main(shutdown.clone()));
        drain(&shutdown, config.drain.into(), main).await
    });
    // Tasks that `main` left behind are dropped, and blocking work is waited for no longer than this.
    runtime.shutdown_timeout(BLOCKING_MAX);
    match result?? {
        Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes the error and its causes to the log, or to stderr when nobody listens to the log yet.
fn report(error: &(dyn Error + Send + Sync)) {
    let text = with_causes(error);
    if tracing::dispatcher::has_been_set() {
        tracing::error!(error = text, "ended with an error");
    } else {
        eprintln!("error: {text}");
    }
}

/// Writes an error and its causes in one line, those left out that the one before already says.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::DrainTimedOut;

    fn config() -> RuntimeConfig {
        RuntimeConfig { workers: NonZeroUsize::new(2), name: "test".to_owned(), ..RuntimeConfig::default() }
    }

    #[test]
    fn main_runs_on_a_named_worker() {
        let result = try_run(&config(), |_| async {
            let name = std::thread::current().name().map(str::to_owned);
            assert!(name.as_deref().is_some_and(|name| name.starts_with("test-")), "{name:?}");
            Ok::<_, std::io::Error>(())
        });
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(build(&config()).expect("a runtime").metrics().num_workers(), 2);
    }

    #[test]
    fn an_error_or_a_panic_of_main_is_told() {
        let result = try_run(&config(), |_| async { Err(std::io::Error::other("no disk")) });
        assert_eq!(result.expect_err("it failed").to_string(), "no disk");
        let result = try_run(&config(), |_| async {
            if true {
                panic!("in the test");
            }
            Ok::<_, std::io::Error>(())
        });
        assert!(result.expect_err("it failed").to_string().contains("panicked"));
    }

    #[test]
    fn a_main_that_does_not_drain_is_given_up() {
        let config = RuntimeConfig { drain: HumanDuration(Duration::from_millis(20)), ..config() };
        let result = try_run(&config, |shutdown| async move {
            shutdown.cancel();
            std::future::pending::<Result<(), std::io::Error>>().await
        });
        let error = result.expect_err("it failed");
        assert!(error.downcast_ref::<DrainTimedOut>().is_some(), "{error}");
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot start")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Inner(#[source] std::io::Error);
        let error = Outer(Inner(std::io::Error::other("no disk")));
        assert_eq!(with_causes(&error), "cannot start: no disk");
    }
}
