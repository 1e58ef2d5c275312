use schemars::JsonSchema;
use serde::Deserialize;

use super::{Abort, Fault, Invariant, Load, Objective, Phases, Rollback, System};

/// An experiment: a system, a load, faults, and what must hold all the same.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Experiment {
    /// The version of the document's format.
    pub api_version: ApiVersion,
    /// What the document describes.
    pub kind: Kind,
    /// Which experiment this is.
    pub metadata: Metadata,
    /// What is under test.
    pub system: System,
    /// How long each phase takes. Left out, `inject` reaches from the first fault's begin to the last one's end,
    /// `baseline` is what lies before and `recover` what lies behind.
    #[serde(default)]
    pub phases: Phases,
    /// What is asked of the system meanwhile.
    pub load: Load,
    /// What is done to it.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What its clients must see.
    #[serde(default)]
    pub objectives: Vec<Objective>,
    /// What must be true of its data at the end.
    #[serde(default)]
    pub invariants: Vec<Invariant>,
    /// When to stop before the end; never, if left out.
    #[serde(default)]
    pub abort: Option<Abort>,
    /// What is done beside undoing faults when the run ends before its time: aborted, or with a process dead.
    #[serde(default)]
    pub rollback: Rollback,
}

/// A version of the document's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one so far.
    #[serde(rename = "steadfast.dev/v1")]
    V1,
}

/// What a document describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Kind {
    /// An experiment.
    Experiment,
}

/// Which experiment this is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Its name: lower-case letters, digits and `-`, at most 63; it becomes part of a folder's name.
    pub name: String,
    /// What it shows, in a sentence.
    #[serde(default)]
    pub description: Option<String>,
}

/// Returns the JSON Schema of the document, which editors use to check and complete it. It knows the shape of a
/// document; what [`read_bytes`](super::read_bytes) checks beyond that, such as names of targets, it does not.
pub fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(Experiment);
    schema.insert("$id".to_owned(), "https://steadfast.dev/schemas/experiment.schema.json".into());
    schema.insert("title".to_owned(), "Steadfast experiment".into());
    schema
}
