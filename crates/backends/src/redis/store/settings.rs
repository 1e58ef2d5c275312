use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Error;

/// How the server is used.
///
/// # Examples
/// ```
/// use steadfast_backends::redis::store::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{"name": "orders", "poll": "20ms"}"#)?;
/// assert_eq!(settings.deduplicated_events, 100_000);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The store's name: every key begins with it, in braces. Not empty, without braces. Stores of different names
    /// share a database without knowing of each other.
    pub name: String,
    /// How many of the newest event identities are remembered, at least 1, so that a batch that is appended again is
    /// recognised. It is kept in the store, and whoever opens it with more makes it more, for good.
    pub deduplicated_events: u32,
    /// How often a subscription looks for what other processes have appended; 1 ms or more.
    pub poll: HumanDuration,
    /// How long to try while the server cannot be reached, before whoever waits is told.
    pub patience: HumanDuration,
    /// How many appends and reads may be under way before more are refused as overloaded; 0 counts as 1.
    pub under_way_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "events".to_owned(),
            deduplicated_events: 100_000,
            poll: HumanDuration(Duration::from_millis(50)),
            patience: HumanDuration(Duration::from_secs(10)),
            under_way_max: 4_096,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |reason: &str| Err(Error::Invalid { reason: reason.to_owned() });
        // It decides in which slot of a cluster the keys lie.
        if self.name.is_empty() || self.name.contains(['{', '}']) {
            return wrong("`name` is empty or has braces: choose another");
        }
        if self.deduplicated_events == 0 {
            return wrong("`deduplicatedEvents` is 0: choose at least 1");
        }
        Ok(())
    }
}
