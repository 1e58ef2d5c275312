use std::fmt;
use std::ops::Range;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use steadfast_base::units::HumanDuration;

use super::text;

/// How long each phase takes; together they cover the load from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phases {
    /// Load without fault, more than zero.
    #[schemars(with = "text::Duration")]
    pub baseline: HumanDuration,
    /// Load with fault, more than zero where there are faults.
    #[schemars(with = "text::Duration")]
    pub inject: HumanDuration,
    /// Load after the fault.
    #[schemars(with = "text::Duration")]
    pub recover: HumanDuration,
}

impl Phases {
    /// Returns the phase's begin and end since the start of the load.
    pub fn window(&self, phase: Phase) -> Range<Duration> {
        let (baseline, inject) = (self.baseline.0, self.baseline.0.saturating_add(self.inject.0));
        match phase {
            Phase::Baseline => Duration::ZERO..baseline,
            Phase::Inject => baseline..inject,
            Phase::Recover => inject..self.total(),
        }
    }

    /// Returns the length of all phases together.
    pub fn total(&self) -> Duration {
        self.baseline.0.saturating_add(self.inject.0).saturating_add(self.recover.0)
    }
}

/// A phase in which load is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Before the fault.
    Baseline,
    /// While the fault is there.
    Inject,
    /// After it.
    Recover,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Inject, Self::Recover];

    /// Returns the phase's name as documents and reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Inject => "inject",
            Self::Recover => "recover",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When an objective must hold: one phase, a list of phases each on its own, or `all` as one window.
#[derive(Debug, Clone, PartialEq, Eq, Default, JsonSchema)]
#[schemars(untagged)]
pub enum During {
    /// From the start of the load to its end, as one window.
    #[default]
    #[schemars(with = "AllWord")]
    All,
    /// Each of these phases on its own.
    #[schemars(with = "OneOrMore")]
    Phases(Vec<Phase>),
}

/// How [`During::All`] is written.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
enum AllWord {
    All,
}

/// How [`During::Phases`] is written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum OneOrMore {
    One(Phase),
    More(Vec<Phase>),
}

impl During {
    /// Lists the windows in which the objective is evaluated, each with its name and begin and end since the start of
    /// the load; `within` is cut from the begin of each.
    pub fn windows(&self, phases: &Phases, within: Duration) -> Vec<(&'static str, Range<Duration>)> {
        let cut = |window: Range<Duration>| window.start.saturating_add(within).min(window.end)..window.end;
        match self {
            Self::All => vec![("all", cut(Duration::ZERO..phases.total()))],
            Self::Phases(list) => list.iter().map(|p| (p.name(), cut(phases.window(*p)))).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for During {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneListOrAll;

        impl<'de> Visitor<'de> for OneListOrAll {
            type Value = During;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a phase (`baseline`, `inject` or `recover`), a list of phases, or `all`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<During, E> {
                if text == "all" {
                    return Ok(During::All);
                }
                let known = Phase::ALL.into_iter().find(|phase| phase.name() == text);
                let unknown = || E::unknown_variant(text, &["baseline", "inject", "recover", "all"]);
                known.map(|phase| During::Phases(vec![phase])).ok_or_else(unknown)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<During, A::Error> {
                let mut phases = Vec::new();
                while let Some(phase) = items.next_element()? {
                    phases.push(phase);
                }
                Ok(During::Phases(phases))
            }
        }

        deserializer.deserialize_any(OneListOrAll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_within_cuts_their_begin() {
        let seconds = |n| HumanDuration(Duration::from_secs(n));
        let phases = Phases { baseline: seconds(8), inject: seconds(15), recover: seconds(10) };
        let during = During::Phases(vec![Phase::Inject, Phase::Recover]);
        let windows = during.windows(&phases, Duration::from_secs(5));
        let expected = [
            ("inject", Duration::from_secs(13)..Duration::from_secs(23)),
            ("recover", Duration::from_secs(28)..Duration::from_secs(33)),
        ];
        assert_eq!(windows, expected);
        let all = During::All.windows(&phases, Duration::ZERO);
        assert_eq!(all, [("all", Duration::ZERO..Duration::from_secs(33))]);
    }
}
