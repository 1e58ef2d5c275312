//! Guards that repeat, or stop, calls.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use steadfast_base::units::{HumanDuration, Percentage, parse_duration};

use super::load::finite;
use crate::breaker::{self, BreakerPolicy};
use crate::stack::{BudgetPolicy, HedgeSettings, RetrySettings};
use crate::{HedgePolicy, RetryPolicy};

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Retry {
    attempts_max: u32,
    backoff: Backoff,
    retry_after_max: HumanDuration,
    attempt_timeout: Option<HumanDuration>,
    overall_timeout: Option<HumanDuration>,
    budget: Budget,
}

impl From<RetrySettings> for Retry {
    fn from(RetrySettings { policy, budget }: RetrySettings) -> Self {
        Self {
            attempts_max: policy.attempts_max,
            backoff: policy.backoff.into(),
            retry_after_max: HumanDuration(policy.retry_after_max),
            attempt_timeout: policy.attempt_timeout.map(HumanDuration),
            overall_timeout: policy.overall_timeout.map(HumanDuration),
            budget: budget.into(),
        }
    }
}

impl From<Retry> for RetrySettings {
    fn from(form: Retry) -> Self {
        let policy = RetryPolicy {
            attempts_max: form.attempts_max,
            backoff: form.backoff.into(),
            retry_after_max: form.retry_after_max.0,
            attempt_timeout: form.attempt_timeout.map(Into::into),
            overall_timeout: form.overall_timeout.map(Into::into),
        };
        Self { policy, budget: form.budget.into() }
    }
}

impl Default for Retry {
    fn default() -> Self {
        RetrySettings::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Backoff {
    initial: HumanDuration,
    max: HumanDuration,
    factor: f64,
    jitter: Jitter,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Jitter {
    None,
    Full,
    Decorrelated,
}

impl From<steadfast_base::Backoff> for Backoff {
    fn from(backoff: steadfast_base::Backoff) -> Self {
        let jitter = match backoff.jitter {
            steadfast_base::Jitter::None => Jitter::None,
            steadfast_base::Jitter::Full => Jitter::Full,
            steadfast_base::Jitter::Decorrelated => Jitter::Decorrelated,
        };
        let (initial, max) = (HumanDuration(backoff.initial), HumanDuration(backoff.max));
        Self { initial, max, factor: backoff.factor, jitter }
    }
}

impl From<Backoff> for steadfast_base::Backoff {
    fn from(form: Backoff) -> Self {
        let jitter = match form.jitter {
            Jitter::None => steadfast_base::Jitter::None,
            Jitter::Full => steadfast_base::Jitter::Full,
            Jitter::Decorrelated => steadfast_base::Jitter::Decorrelated,
        };
        Self { initial: form.initial.0, max: form.max.0, factor: form.factor, jitter }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        steadfast_base::Backoff::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Budget {
    share: Percentage,
    per_second: u32,
}

impl From<BudgetPolicy> for Budget {
    fn from(BudgetPolicy { share, per_second }: BudgetPolicy) -> Self {
        Self { share: Percentage::from_ratio(share), per_second }
    }
}

impl From<Budget> for BudgetPolicy {
    fn from(Budget { share, per_second }: Budget) -> Self {
        Self { share: share.ratio(), per_second }
    }
}

impl Default for Budget {
    fn default() -> Self {
        BudgetPolicy::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Hedge {
    percentile: Percentage,
    delay_min: HumanDuration,
    /// Null: none.
    delay_max: Option<HumanDuration>,
    samples_min: u32,
    window: HumanDuration,
    budget: HedgeBudget,
}

/// As [`Budget`], with other defaults.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct HedgeBudget {
    share: Percentage,
    per_second: u32,
}

impl Default for HedgeBudget {
    fn default() -> Self {
        HedgeSettings::default().budget.into()
    }
}

impl From<BudgetPolicy> for HedgeBudget {
    fn from(BudgetPolicy { share, per_second }: BudgetPolicy) -> Self {
        Self { share: Percentage::from_ratio(share), per_second }
    }
}

impl From<HedgeBudget> for BudgetPolicy {
    fn from(HedgeBudget { share, per_second }: HedgeBudget) -> Self {
        Self { share: share.ratio(), per_second }
    }
}

impl From<HedgeSettings> for Hedge {
    fn from(HedgeSettings { policy, budget }: HedgeSettings) -> Self {
        Self {
            percentile: Percentage::from_ratio(policy.percentile),
            delay_min: HumanDuration(policy.delay_min),
            delay_max: finite(policy.delay_max),
            samples_min: policy.samples_min,
            window: HumanDuration(policy.window),
            budget: budget.into(),
        }
    }
}

impl From<Hedge> for HedgeSettings {
    fn from(form: Hedge) -> Self {
        let policy = HedgePolicy {
            percentile: form.percentile.ratio(),
            delay_min: form.delay_min.0,
            delay_max: form.delay_max.map_or(Duration::MAX, Into::into),
            samples_min: form.samples_min,
            window: form.window.0,
        };
        Self { policy, budget: form.budget.into() }
    }
}

impl Default for Hedge {
    fn default() -> Self {
        HedgeSettings::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Breaker {
    window: Window,
    calls_min: u32,
    failure_ratio: Percentage,
    slow_calls: Option<SlowCalls>,
    consecutive_failures: Option<u32>,
    open_for: HumanDuration,
    probes: u32,
    probing_for: HumanDuration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SlowCalls {
    longer_than: HumanDuration,
    #[serde(default = "half")]
    ratio: Percentage,
}

fn half() -> Percentage {
    Percentage::from_ratio(0.5)
}

impl From<BreakerPolicy> for Breaker {
    fn from(policy: BreakerPolicy) -> Self {
        Self {
            window: Window(policy.window),
            calls_min: policy.calls_min,
            failure_ratio: Percentage::from_ratio(policy.failure_ratio),
            slow_calls: policy.slow_calls.map(|slow| SlowCalls {
                longer_than: HumanDuration(slow.longer_than),
                ratio: Percentage::from_ratio(slow.ratio),
            }),
            consecutive_failures: policy.consecutive_failures,
            open_for: HumanDuration(policy.open_for),
            probes: policy.probes,
            probing_for: HumanDuration(policy.probing_for),
        }
    }
}

impl From<Breaker> for BreakerPolicy {
    fn from(form: Breaker) -> Self {
        Self {
            window: form.window.0,
            calls_min: form.calls_min,
            failure_ratio: form.failure_ratio.ratio(),
            slow_calls: form.slow_calls.map(|slow| breaker::SlowCalls {
                longer_than: slow.longer_than.0,
                ratio: slow.ratio.ratio(),
            }),
            consecutive_failures: form.consecutive_failures,
            open_for: form.open_for.0,
            probes: form.probes,
            probing_for: form.probing_for.0,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        BreakerPolicy::default().into()
    }
}

/// A number of calls, or a duration.
struct Window(breaker::Window);

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            breaker::Window::Calls(calls) => serializer.serialize_u32(calls),
            breaker::Window::Time(time) => HumanDuration(time).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Window;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of calls, such as 100, or a duration with a unit, such as 10s")
            }

            fn visit_u64<E: de::Error>(self, calls: u64) -> Result<Window, E> {
                let calls = u32::try_from(calls)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(calls), &self))?;
                Ok(Window(breaker::Window::Calls(calls)))
            }

            fn visit_i64<E: de::Error>(self, calls: i64) -> Result<Window, E> {
                Err(E::invalid_value(de::Unexpected::Signed(calls), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Window, E> {
                parse_duration(text).map(|time| Window(breaker::Window::Time(time))).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
