use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use steadfast_base::units::HumanDuration;

use super::{JsonPath, Load, Template, text};

/// What must be true of the system's data when the load has ended.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Invariant {
    /// What was acknowledged is there, as often and in the order as it was.
    AcknowledgedCommands(Box<AcknowledgedCommands>),
    /// Several places say the same.
    Agreement(Agreement),
}

/// What was acknowledged is in the data exactly once and in its key's order; what timed out, at most once; what was
/// refused, not at all; and nothing is there that nobody sent. Exactly one of `history` and `log` says how to read it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcknowledgedCommands {
    /// Its name; `acknowledged STEP` if left out.
    #[serde(default)]
    pub name: Option<String>,
    /// The step whose commands are checked.
    pub step: String,
    /// Where the answer names the key; a path that this step or an earlier one captures.
    pub key: JsonPath,
    /// How to read the history of one key.
    #[serde(default)]
    pub history: Option<History>,
    /// How to read the whole log.
    #[serde(default)]
    pub log: Option<Log>,
    /// Whether one that is there twice is a violation.
    #[serde(default = "yes")]
    pub exactly_once: bool,
    /// Whether the order of each key's commands is checked.
    #[serde(default = "yes")]
    pub per_key_order: bool,
    /// How long what was acknowledged may take to be there, after the load has ended; 10 s if left out.
    #[serde(default = "ten_seconds")]
    #[schemars(with = "text::Duration")]
    pub within: HumanDuration,
}

fn yes() -> bool {
    true
}

impl AcknowledgedCommands {
    /// Returns the invariant's name.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("acknowledged {}", self.step))
    }

    /// Returns the captured variable that holds the key: the one which this step, or else an earlier one, captures by
    /// the path `key`.
    pub fn key_variable<'l>(&self, load: &'l Load) -> Option<&'l str> {
        let (at, _) = load.step(&self.step)?;
        let captures = load.scenario[..=at].iter().rev().flat_map(|step| &step.capture);
        captures.into_iter().find(|(_, path)| **path == self.key).map(|(name, _)| name.as_str())
    }
}

/// How to read the history of one key: one GET for each key.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// The URL, with `${key}`.
    pub http: Template,
    /// Where the answer holds the list of entries; the answer itself if left out.
    #[serde(default)]
    pub items: Option<JsonPath>,
    /// Where an entry names the command that caused it. Left out, an entry cannot be told from another and only the
    /// number of entries is checked.
    #[serde(default)]
    pub command: Option<JsonPath>,
    /// Where an entry names its kind.
    #[serde(default)]
    pub kind: Option<JsonPath>,
    /// Where an entry holds its revision, a number counted from 0 for each key.
    #[serde(default)]
    pub revision: Option<JsonPath>,
    /// The revisions of all entries in one path, `$[*].revision`: instead of `items` and `revision`.
    #[serde(default)]
    pub sequence: Option<JsonPath>,
    /// The kind of entry by which a command of the step is answered; every kind if left out.
    #[serde(default)]
    pub answers: Option<String>,
}

/// How to read the whole log: pages of entries, each naming the cursor of the next.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Log {
    /// The URL, with `${cursor}` where it is paged; the first cursor is the empty text.
    pub http: Template,
    /// Where an answer holds its list of entries.
    pub items: JsonPath,
    /// Where an answer names the cursor of the next page; a single page if left out.
    #[serde(default)]
    pub next: Option<JsonPath>,
    /// Where an entry names its key.
    pub key: JsonPath,
    /// Where an entry names the command that caused it.
    pub command: JsonPath,
    /// Where an entry names its kind.
    #[serde(default)]
    pub kind: Option<JsonPath>,
    /// Where an entry holds its revision, a number counted from 0 for each key.
    #[serde(default)]
    pub revision: Option<JsonPath>,
    /// The kind of entry by which a command of the step is answered; every kind if left out.
    #[serde(default)]
    pub answers: Option<String>,
}

/// Several places that say the same in the end.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agreement {
    /// Its name.
    pub name: String,
    /// How long they may take to agree.
    #[serde(default = "ten_seconds")]
    #[schemars(with = "text::Duration")]
    pub within: HumanDuration,
    /// The places, at least two.
    pub values: Vec<ValueAt>,
}

fn ten_seconds() -> HumanDuration {
    HumanDuration(Duration::from_secs(10))
}

/// A value and where it is read.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueAt {
    /// The URL.
    pub http: Template,
    /// Where the answer holds the value.
    pub value: JsonPath,
}
