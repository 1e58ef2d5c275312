//! Policies as documents: how they are written, and what is refused of them.

use std::fmt::Display;
use std::time::Duration;

use steadfast_base::units::HumanDuration;

/// A policy has a setting with a value that it cannot have, by itself or beside another. Trying again cannot help:
/// somebody has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}; {mend}")]
#[non_exhaustive]
pub struct PolicyError {
    /// The setting, as a configuration names it.
    pub setting: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub mend: String,
}

/// Refuses what is less than `least`.
pub(crate) fn at_least<T>(setting: &'static str, value: T, least: T) -> Result<(), PolicyError>
where
    T: PartialOrd + Display + Copy,
{
    unless(value < least, setting, || (format!("{value} is too little"), format!("write {least} or more")))
}

/// Refuses a duration that is shorter than `shortest`.
pub(crate) fn lasts(setting: &'static str, time: Duration, shortest: Duration) -> Result<(), PolicyError> {
    at_least(setting, HumanDuration(time), HumanDuration(shortest))
}

/// Refuses the setting if it is wrong, by what is wrong and what to do.
pub(crate) fn unless(
    is_wrong: bool,
    setting: &'static str,
    why: impl FnOnce() -> (String, String),
) -> Result<(), PolicyError> {
    if !is_wrong {
        return Ok(());
    }
    let (problem, mend) = why();
    Err(PolicyError { setting, problem, mend })
}

/// A duration with its unit, for `#[serde(with = …)]`.
pub(crate) mod duration {
    use super::{Duration, HumanDuration};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        HumanDuration(*time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        HumanDuration::deserialize(deserializer).map(Into::into)
    }
}

/// A duration with its unit, or null for none, for `#[serde(with = …)]`.
pub(crate) mod optional_duration {
    use super::{Duration, HumanDuration};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(HumanDuration).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<HumanDuration>::deserialize(deserializer)?.map(Into::into))
    }
}
