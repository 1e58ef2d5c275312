use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Error;

/// How the database is used.
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::store::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{"connectionsMax": 4, "poll": "20ms"}"#)?;
/// assert_eq!(settings.schema, "public");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The schema that holds the tables; it is made if it is not there. Letters, digits and `_`.
    pub schema: String,
    /// How many connections may be open; 0 counts as 1. As many appends and reads go on at the same time.
    pub connections_max: usize,
    /// How many appends and reads may wait for a connection before more are refused as overloaded.
    pub waiting_max: usize,
    /// How often a subscription looks for what other processes have appended; 1 ms or more.
    pub poll: HumanDuration,
    /// How long a read over all streams waits, while other transactions are open, until it can see what this process
    /// has appended; then it returns what it can. A read of one stream never has to wait.
    pub own_within: HumanDuration,
    /// How long to try while the server cannot be reached, before whoever waits is told.
    pub patience: HumanDuration,
    /// How long the server may take for one statement, the wait for its turn included.
    pub statement_timeout: HumanDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schema: "public".to_owned(),
            connections_max: 8,
            waiting_max: 4_096,
            poll: HumanDuration(Duration::from_millis(50)),
            own_within: HumanDuration(Duration::from_millis(500)),
            patience: HumanDuration(Duration::from_secs(10)),
            statement_timeout: HumanDuration(Duration::from_secs(10)),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        let schema = &self.schema;
        // It becomes part of statements.
        if schema.is_empty() || !schema.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let reason = format!("`schema` is `{schema}`: use letters, digits and _");
            return Err(Error::Invalid { reason });
        }
        Ok(())
    }
}
