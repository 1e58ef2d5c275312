//! Logs to stderr.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder};
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged and how.
///
/// # Examples
/// ```
/// use steadfast::telemetry::{Format, TelemetryConfig};
///
/// let config: TelemetryConfig = serde_json::from_str(r#"{"format": "json"}"#)?;
/// assert_eq!(config, TelemetryConfig { format: Format::Json, filter: "info".to_owned() });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TelemetryConfig {
    /// How a line is written.
    pub format: Format,
    /// What is logged, by level and module, as in `info,steadfast_guard=debug`. The environment variable `RUST_LOG`
    /// takes its place when it is set.
    pub filter: String,
}

impl Default for TelemetryConfig {
    /// Lines for people, of level `info` and above.
    fn default() -> Self {
        Self { format: Format::Human, filter: "info".to_owned() }
    }
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// For people, in colour where stderr is a terminal.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// The log was not set up. A retry cannot help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The filter is not one.
    #[error(
        "invalid log filter {filter:?} in {origin}: write levels by module, such as info,steadfast_guard=debug"
    )]
    InvalidFilter {
        /// The filter.
        filter: String,
        /// Where it comes from: `RUST_LOG` or the configuration.
        origin: &'static str,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process has a log already.
    #[error("a log is set up already: call init once, at the start of main")]
    AlreadySet,
}

/// Sets up the log of this process: lines to stderr, filtered by `RUST_LOG` or the configuration.
///
/// # Errors
/// [`Error::InvalidFilter`] when the filter cannot be read, [`Error::AlreadySet`] when it is not the first call.
pub fn init(config: &TelemetryConfig) -> Result<(), Error> {
    let environment = std::env::var("RUST_LOG").ok();
    let is_terminal = std::io::stderr().is_terminal();
    let subscriber = subscriber(config, environment.as_deref(), is_terminal, std::io::stderr)?;
    subscriber.try_init().map_err(|_| Error::AlreadySet)
}

fn subscriber<W>(
    config: &TelemetryConfig,
    environment: Option<&str>,
    is_terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, origin) = match environment {
        Some(filter) if !filter.trim().is_empty() => (filter, "RUST_LOG"),
        _ => (config.filter.as_str(), "the configuration"),
    };
    let filter = EnvFilter::try_new(filter).map_err(|source| Error::InvalidFilter {
        filter: filter.to_owned(),
        origin,
        source,
    })?;
    let builder = SubscriberBuilder::default()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        // A log that nobody reads any more, such as a closed pipe, must not end the service.
        .log_internal_errors(false)
        .with_writer(writer);
    Ok(match config.format {
        Format::Human => Box::new(builder.finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &TelemetryConfig, environment: Option<&str>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            subscriber(config, environment, false, move || writer.clone()).expect("a valid configuration");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(order = 7, "created");
            tracing::debug!("looked up");
        });
        String::from_utf8(lines.0.lock().clone()).expect("text")
    }

    #[test]
    fn json_is_one_object_per_line() {
        let config = TelemetryConfig { format: Format::Json, ..TelemetryConfig::default() };
        let text = logged(&config, None);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!((&lines[0]["message"], &lines[0]["order"]), (&"created".into(), &7.into()));
    }

    #[test]
    fn the_environment_goes_before_the_configuration() {
        let config = TelemetryConfig { filter: "warn".to_owned(), ..TelemetryConfig::default() };
        assert_eq!(logged(&config, None), "");
        assert_eq!(logged(&config, Some(" ")), "");
        let text = logged(&config, Some("debug"));
        assert!(text.contains("created order=7") && text.contains("looked up"), "{text}");
    }

    #[test]
    fn an_invalid_filter_says_where_it_is_from() {
        let config = TelemetryConfig { filter: "=what=".to_owned(), ..TelemetryConfig::default() };
        let told = |environment| match subscriber(&config, environment, false, io::sink) {
            Ok(_) => panic!("it is invalid"),
            Err(error) => error.to_string(),
        };
        assert!(told(None).contains("\"=what=\" in the configuration"), "{}", told(None));
        assert!(told(Some("a=b=c")).contains("\"a=b=c\" in RUST_LOG"));
    }
}
