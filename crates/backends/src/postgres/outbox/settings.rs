use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::Error;

use crate::postgres::error::configuration;

/// Which table is the outbox, and how it is drained.
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::outbox::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{"table": "shop_outbox", "keep": true}"#)?;
/// assert!(settings.notify);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The table's name, without schema: 1 to 50 lower-case letters, digits and underscores. It stands in the first
    /// schema of the role's search path.
    pub table: String,
    /// Makes the table where it is missing. Without it, it must be there.
    pub create: bool,
    /// Wakes the reader by `NOTIFY`.
    pub notify: bool,
    /// How often the table is looked at when nobody wakes the reader.
    pub poll: HumanDuration,
    /// Marks rows as handled instead of deleting them; then somebody must delete them in time.
    pub keep: bool,
    /// How long one statement may take before the connection counts as lost.
    pub statement_timeout: HumanDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: "steadfast_outbox".to_owned(),
            create: true,
            notify: true,
            poll: HumanDuration(Duration::from_millis(500)),
            keep: false,
            statement_timeout: HumanDuration(Duration::from_secs(10)),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let begins = self.table.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        if begins && self.table.len() <= 50 && self.table.bytes().all(allowed) {
            return Ok(());
        }
        Err(configuration("table", "takes 1 to 50 lower-case letters, digits and underscores"))
    }
}
