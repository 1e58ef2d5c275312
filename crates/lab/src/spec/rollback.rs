use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use steadfast_base::units::HumanDuration;

use super::text;

/// When a run is stopped before its end.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abort {
    /// The condition.
    pub when: AbortWhen,
}

/// A condition that stops a run.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbortWhen {
    /// The error budget of a success objective burns too fast.
    pub burn_rate: BurnRate,
}

/// An error budget that burns too fast.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BurnRate {
    /// How many times faster than allowed, more than 0.
    pub over: f64,
    /// For how long; from 1 s on.
    #[serde(rename = "for")]
    #[schemars(with = "text::Duration")]
    pub length: HumanDuration,
}

/// What is done beside undoing faults when a run ends before its time, and how long a system may take to come back.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rollback {
    /// How long all of it may take.
    #[schemars(with = "text::Duration")]
    pub within: HumanDuration,
    /// The actions, in order. Faults are undone first also where no action says so.
    #[serde(rename = "do")]
    pub actions: Vec<Action>,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            within: HumanDuration(Duration::from_secs(30)),
            actions: vec![Action::UndoFaults(Nothing::default())],
        }
    }
}

/// Something done to bring the system back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// All faults are undone, and that is verified.
    UndoFaults(Nothing),
    /// A process is stopped and started again, and becomes ready.
    Restart(Restart),
}

/// No parameters: `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Which process is started again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    /// The process.
    pub target: String,
}
