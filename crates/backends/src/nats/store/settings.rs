use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Error;

/// How the stream is used.
///
/// # Examples
/// ```
/// use steadfast_backends::nats::store::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{"stream": "orders", "poll": "20ms"}"#)?;
/// assert_eq!(settings.remember, 16_384);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The name of the stream and the first word of its subjects: letters, digits, `-` and `_`. It is made if it is not
    /// there.
    pub stream: String,
    /// How many of the newest events are recognised when they are appended again, 1 or more. They are read when the
    /// store is opened, and take about 100 bytes of memory each.
    pub remember: usize,
    /// How many appends may wait to be sent before more are refused as overloaded; 0 counts as 1.
    pub waiting_max: usize,
    /// How many messages a read asks for at once; 0 counts as 1. They are held in memory, of each at most what the
    /// server takes as a payload. A server before 2.11, and a stream with replicas, is asked for one after the other.
    pub read_ahead: usize,
    /// How often a subscription looks for what other processes have appended; 1 ms or more.
    pub poll: HumanDuration,
    /// How long to try while the server cannot be reached, or others append first, before whoever waits is told.
    pub patience: HumanDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: "steadfast".to_owned(),
            remember: 16_384,
            waiting_max: 4_096,
            read_ahead: 256,
            poll: HumanDuration(Duration::from_millis(50)),
            patience: HumanDuration(Duration::from_secs(10)),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |reason: &str| Err(Error::Invalid { reason: reason.to_owned() });
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.stream.is_empty() || !self.stream.chars().all(is_plain) {
            return wrong("`stream`: give it a name of letters, digits, `-` and `_`");
        }
        if self.remember == 0 {
            return wrong("`remember`: choose at least 1");
        }
        Ok(())
    }
}
