use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use steadfast_base::units::{HumanDuration, Percentage};

use super::{During, text};

/// What the clients of the system must see of one step. Latency counts from the intended start to the end of the last
/// attempt, over the commands that succeeded.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// The step.
    pub step: String,
    /// When: a phase, a list of phases each on its own, or `all` as one window.
    #[serde(default)]
    pub during: During,
    /// How much of each phase's begin does not count; nothing, if left out.
    #[serde(default)]
    #[schemars(with = "text::Duration")]
    pub within: HumanDuration,
    /// The least share of commands that succeed.
    #[serde(default)]
    #[schemars(with = "Option<text::Percentage>")]
    pub success: Option<Percentage>,
    /// The longest median latency.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub p50: Option<HumanDuration>,
    /// The longest 90th percentile of latency.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub p90: Option<HumanDuration>,
    /// The longest 95th percentile of latency.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub p95: Option<HumanDuration>,
    /// The longest 99th percentile of latency.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub p99: Option<HumanDuration>,
    /// The longest 99.9th percentile of latency.
    #[serde(default, rename = "p99.9")]
    #[schemars(with = "Option<text::Duration>")]
    pub p99_9: Option<HumanDuration>,
    /// The longest latency.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub max: Option<HumanDuration>,
}

impl Objective {
    /// Lists the latency bounds that are declared, each with its percentile; 100 stands for the maximum.
    pub fn latencies(&self) -> Vec<(f64, Duration)> {
        [
            (50.0, self.p50),
            (90.0, self.p90),
            (95.0, self.p95),
            (99.0, self.p99),
            (99.9, self.p99_9),
            (100.0, self.max),
        ]
        .into_iter()
        .filter_map(|(percentile, bound)| Some((percentile, bound?.0)))
        .collect()
    }
}
