use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use steadfast_base::units::{HumanDuration, Percentage, Rate};

use super::{JsonPath, Template, text};

/// What is asked of the system: arrivals that do not wait for answers, each of which runs the scenario.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// How many arrivals, stage after stage; together at least as long as the phases.
    pub arrivals: Vec<Stage>,
    /// The steps of each arrival, in order.
    pub scenario: Vec<Step>,
    /// When a command is sent again, as the API's documentation tells clients to; never, if left out.
    #[serde(default)]
    pub retry: Retry,
    /// How many connections are open at once; the generator's default if left out.
    #[serde(default)]
    pub connections_max: Option<u32>,
}

impl Load {
    /// Returns how long all stages take together.
    pub fn length(&self) -> Duration {
        self.arrivals.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.length.0))
    }

    /// Returns how many arrivals all stages have together.
    pub fn arrivals_total(&self) -> f64 {
        self.arrivals.iter().map(|stage| stage.rate.per_second() * stage.length.0.as_secs_f64()).sum()
    }

    /// Returns the step called `name` with its place in the scenario.
    pub fn step(&self, name: &str) -> Option<(usize, &Step)> {
        self.scenario.iter().enumerate().find(|(_, step)| step.name == name)
    }
}

/// A time with a constant rate of arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// How many arrive, at most 100000/s.
    #[schemars(with = "text::Rate")]
    pub rate: Rate,
    /// How long.
    #[serde(rename = "for")]
    #[schemars(with = "text::Duration")]
    pub length: HumanDuration,
}

/// A step of the scenario.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Its name, by which objectives and invariants speak of it.
    pub name: String,
    /// The share of arrivals that run it.
    #[serde(default = "hundred")]
    #[schemars(with = "text::Percentage")]
    pub weight: Percentage,
    /// What is sent.
    pub http: HttpRequest,
    /// Values taken from the answer, by the name under which later steps use them.
    #[serde(default)]
    pub capture: BTreeMap<String, JsonPath>,
}

pub(super) fn hundred() -> Percentage {
    Percentage::HUNDRED
}

/// An HTTP request. Variables in its templates: `${NAME.url}` of a process, `${uuid}` (one for each command, the same
/// in all its repetitions), `${seq}`, and what earlier steps captured.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRequest {
    /// The method, such as GET or POST.
    pub method: String,
    /// The URL, `http` only.
    pub url: Template,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The body. After reading a document this is also the text of `bodyFile`.
    #[serde(default)]
    pub body: Option<Template>,
    /// The file that holds the body, relative to the document; at most 1 MiB.
    #[serde(default)]
    pub body_file: Option<PathBuf>,
    /// How long one attempt may take.
    #[serde(default = "timeout")]
    #[schemars(with = "text::Duration")]
    pub timeout: HumanDuration,
    /// Which statuses are a success; all of 200 to 299 if left out.
    #[serde(default)]
    pub success: Vec<u16>,
}

fn timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(10))
}

/// When a command is sent again; every repetition keeps its `${uuid}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// How often at most, beyond the first attempt.
    pub max: u32,
    /// After which ends of an attempt.
    pub on: Vec<RetryOn>,
    /// How long to wait before.
    #[serde(default)]
    pub backoff: Backoff,
}

/// How long to wait before a repetition: growing from `initial` by 2 up to `max`, with full jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backoff {
    /// The wait before the first repetition.
    #[schemars(with = "text::Duration")]
    pub initial: HumanDuration,
    /// The longest wait.
    #[schemars(with = "text::Duration")]
    pub max: HumanDuration,
}

impl Default for Backoff {
    fn default() -> Self {
        let base = steadfast_base::Backoff::default();
        Self { initial: HumanDuration(base.initial), max: HumanDuration(base.max) }
    }
}

impl From<Backoff> for steadfast_base::Backoff {
    fn from(backoff: Backoff) -> Self {
        Self { initial: backoff.initial.0, max: backoff.max.0, ..Self::default() }
    }
}

/// An end of an attempt after which it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// An answer with this status.
    Status(u16),
    /// No connection could be made.
    Connect,
    /// The connection was lost before the answer was complete.
    Reset,
    /// No answer came in time.
    Timeout,
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StatusOrWord;

        impl Visitor<'_> for StatusOrWord {
            type Value = RetryOn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status from 400 to 599, `connect`, `reset` or `timeout`")
            }

            fn visit_u64<E: de::Error>(self, status: u64) -> Result<RetryOn, E> {
                match u16::try_from(status) {
                    Ok(status @ 400..=599) => Ok(RetryOn::Status(status)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(status), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, status: i64) -> Result<RetryOn, E> {
                let unsigned = u64::try_from(status);
                unsigned
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(status), &self))
                    .and_then(|status| self.visit_u64(status))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<RetryOn, E> {
                match word {
                    "connect" => Ok(RetryOn::Connect),
                    "reset" => Ok(RetryOn::Reset),
                    "timeout" => Ok(RetryOn::Timeout),
                    _ => Err(E::unknown_variant(word, &["connect", "reset", "timeout"])),
                }
            }
        }

        deserializer.deserialize_any(StatusOrWord)
    }
}

impl JsonSchema for RetryOn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An end of an attempt after which it is repeated.",
            "anyOf": [
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"enum": ["connect", "reset", "timeout"]},
            ],
        })
    }
}
