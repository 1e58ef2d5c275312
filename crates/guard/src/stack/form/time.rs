//! Deadlines and timeouts.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use steadfast_base::units::{HumanDuration, parse_duration};

use crate::ServerDeadlineLayer;
use crate::stack::DeadlineSettings;

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Deadline {
    default: HumanDuration,
    overhead: Overhead,
}

/// A duration, or `measured`.
struct Overhead(Option<Duration>);

const MEASURED: &str = "measured";

impl Serialize for Overhead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(time) => HumanDuration(time).serialize(serializer),
            None => serializer.serialize_str(MEASURED),
        }
    }
}

impl<'de> Deserialize<'de> for Overhead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Overhead;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`measured`, or a duration with a unit, such as 20ms")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Overhead, E> {
                if text == MEASURED {
                    return Ok(Overhead(None));
                }
                parse_duration(text).map(|time| Overhead(Some(time))).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl From<DeadlineSettings> for Deadline {
    fn from(DeadlineSettings { default, overhead }: DeadlineSettings) -> Self {
        Self { default: HumanDuration(default), overhead: Overhead(overhead) }
    }
}

impl From<Deadline> for DeadlineSettings {
    fn from(Deadline { default, overhead }: Deadline) -> Self {
        Self { default: default.0, overhead: overhead.0 }
    }
}

impl Default for Deadline {
    fn default() -> Self {
        DeadlineSettings::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct ServerDeadline {
    default: HumanDuration,
    max: HumanDuration,
}

impl From<ServerDeadlineLayer> for ServerDeadline {
    fn from(ServerDeadlineLayer { default, max }: ServerDeadlineLayer) -> Self {
        Self { default: HumanDuration(default), max: HumanDuration(max) }
    }
}

impl From<ServerDeadline> for ServerDeadlineLayer {
    fn from(ServerDeadline { default, max }: ServerDeadline) -> Self {
        Self { default: default.0, max: max.0 }
    }
}

impl Default for ServerDeadline {
    fn default() -> Self {
        ServerDeadlineLayer::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Timeout {
    after: HumanDuration,
}

impl From<Duration> for Timeout {
    fn from(after: Duration) -> Self {
        Self { after: HumanDuration(after) }
    }
}

impl From<Timeout> for Duration {
    fn from(Timeout { after }: Timeout) -> Self {
        after.0
    }
}

impl Default for Timeout {
    fn default() -> Self {
        crate::timeout::TimeoutPolicy::default().after.into()
    }
}
