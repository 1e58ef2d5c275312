use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::{HumanDuration, Size};

/// Where the database is, and how it is used.
///
/// # Examples
/// ```
/// use steadfast_backends::sqlite::store::Config;
///
/// let config: Config = serde_json::from_str(r#"{"path": "shop.db", "poll": "20ms"}"#)?;
/// assert_eq!(config.readers_max, 8);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The database's file; it is made if it is not there.
    pub path: PathBuf,
    /// How often to look whether other processes have appended something; 1 ms or more.
    pub poll: HumanDuration,
    /// How long to wait while another process writes, before an append is refused as overloaded.
    pub busy_timeout: HumanDuration,
    /// How many bytes of data may wait for the writer before an append is refused as overloaded. A batch is taken when
    /// less than this waits.
    pub queue_size_max: Size,
    /// How many connections are kept open for readers; more are opened when needed, and closed again.
    pub readers_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            poll: HumanDuration(Duration::from_millis(50)),
            busy_timeout: HumanDuration(Duration::from_secs(5)),
            queue_size_max: Size::from_mebibytes(16),
            readers_max: 8,
        }
    }
}

impl Config {
    /// Makes the usual configuration for the database at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}
