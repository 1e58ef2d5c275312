use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::HumanDuration;

/// Where a view is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The database's file; it is made if it is not there.
    pub path: PathBuf,
    /// The projection's name, by which its position is kept. A view that is rebuilt beside another needs tables and a
    /// name of its own.
    pub name: String,
    /// How long to wait while another connection writes.
    pub busy_timeout: HumanDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            name: String::new(),
            busy_timeout: HumanDuration(Duration::from_secs(5)),
        }
    }
}
