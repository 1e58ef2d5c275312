use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::Error;

/// Which tables of which database are watched, and how.
///
/// # Examples
/// ```
/// use steadfast_backends::sqlite::changes::Config;
///
/// let json = r#"{"path": "shop.db", "tables": ["orders"], "poll": "20ms"}"#;
/// let config: Config = serde_json::from_str(json)?;
/// assert_eq!(config.backlog_max, 1_000_000);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The database, which must exist.
    pub path: PathBuf,
    /// The tables, by name; at least one.
    pub tables: Vec<String>,
    /// The events' `source`; where it is empty, `/sqlite/` and the file's name.
    pub source: String,
    /// How often a receiver asks whether other connections have changed something; 1 ms or more.
    pub poll: HumanDuration,
    /// How long to wait for another connection's transaction.
    pub busy_timeout: HumanDuration,
    /// How many changes are kept after all groups have handled them, for people to look at; the rest is deleted.
    pub keep: u64,
    /// How many changes may wait for a group before it is given up in favour of the disk: its receivers then fail
    /// until [`Changes::forget_group`](super::Changes::forget_group). Told only by a receiver of another group.
    pub backlog_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            tables: Vec::new(),
            source: String::new(),
            poll: HumanDuration(Duration::from_millis(50)),
            busy_timeout: HumanDuration(Duration::from_secs(5)),
            keep: 0,
            backlog_max: 1_000_000,
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |field, problem: &str| {
            Err(Error::Configuration { system: super::error::SYSTEM, field, problem: problem.to_owned() })
        };
        if self.path.as_os_str().is_empty() {
            return wrong("path", "is empty: name the database's file");
        }
        if self.tables.is_empty() {
            return wrong("tables", "is empty: name the tables to watch");
        }
        if self.tables.iter().any(|table| table.starts_with("steadfast_") || table.starts_with("sqlite_")) {
            return wrong("tables", "names a table that belongs to SQLite or to this driver");
        }
        Ok(())
    }

    pub(super) fn source(&self) -> String {
        if !self.source.is_empty() {
            return self.source.clone();
        }
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        format!("/sqlite/{name}")
    }
}
