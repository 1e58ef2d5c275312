//! What can be set of each guard in a stack.

use std::time::Duration;

use crate::deadline::{DeadlinePolicy, Fixed, RefuseExpiredPolicy};
use crate::{
    BreakerPolicy, BulkheadPolicy, HedgePolicy, Quota, RateLimitPolicy, RetryPolicy, ServerDeadlineLayer,
    ShedPolicy,
};

/// How much of the time of an outgoing call is kept back, and how much a call gets that states none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineSettings {
    /// The time that a request without a deadline gets.
    pub default: Duration,
    /// The time kept back; `None`: as much as is [measured](crate::deadline::Measured), 1 ms to 250 ms.
    pub overhead: Option<Duration>,
}

/// How calls are repeated, and from what that is paid.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RetrySettings {
    /// What is repeated, how often and when.
    pub policy: RetryPolicy,
    /// How much of the traffic repetitions may be.
    pub budget: BudgetPolicy,
}

/// When a call is made a second time, and from what that is paid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeSettings {
    /// When a second attempt is made.
    pub policy: HedgePolicy,
    /// How much of the traffic second attempts may be.
    pub budget: BudgetPolicy,
}

/// What a [`Budget`](steadfast_base::Budget) earns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetPolicy {
    /// Repetitions for each call; 0.0 to 1.0.
    pub share: f64,
    /// Repetitions per second besides.
    pub per_second: u32,
}

/// At which rate calls are made, and how long they wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// How much is let through.
    pub quota: Quota,
    /// What becomes of a call that does not conform.
    pub policy: RateLimitPolicy,
}

/// At which rate the calls of each key are taken, and how many keys are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRateLimitSettings {
    /// How much of each key is let through.
    pub quota: Quota,
    /// What becomes of a call that does not conform.
    pub policy: RateLimitPolicy,
    /// The most keys that are remembered, 1 or more, rounded up to a multiple of 16; each takes some 20 to 40 bytes.
    /// Further ones share a quota while all of these have used something of theirs.
    pub keys_max: usize,
}

/// The guards of outgoing calls; `None` is one that is switched off. All are by default.
///
/// It is a document, too: names are in camel case, durations, shares and rates have units, and a name that is unknown is
/// refused.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::stack::OutgoingSettings;
///
/// let settings: OutgoingSettings = serde_json::from_str(r#"{
///     "deadline": {"default": "2s", "overhead": "measured"},
///     "retry": {"attemptsMax": 4, "attemptTimeout": "500ms", "budget": {"share": "10%", "perSecond": 5}},
///     "rateLimit": {"rate": "600/m", "burst": 20},
///     "breaker": {"window": "30s", "failureRatio": "30%"}
/// }"#)?;
/// assert_eq!(settings.retry.map(|retry| retry.policy.attempts_max), Some(4));
/// assert_eq!(settings.rate_limit.map(|limit| limit.quota.window()), Some(Duration::from_secs(60)));
/// assert_eq!(settings.bulkhead, None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct OutgoingSettings {
    /// Whether failures are substituted; what by is code.
    pub fallback: bool,
    /// The deadline of calls.
    #[serde(with = "super::form::Optional::<super::form::Deadline>")]
    pub deadline: Option<DeadlineSettings>,
    /// A second attempt where the first is late.
    #[serde(with = "super::form::Optional::<super::form::Hedge>")]
    pub hedge: Option<HedgeSettings>,
    /// Repetitions.
    #[serde(with = "super::form::Optional::<super::form::Retry>")]
    pub retry: Option<RetrySettings>,
    /// Calls per time.
    #[serde(with = "super::form::Optional::<super::form::RateLimit>")]
    pub rate_limit: Option<RateLimitSettings>,
    /// Calls at a time.
    #[serde(with = "super::form::Optional::<super::form::Bulkhead>")]
    pub bulkhead: Option<BulkheadPolicy>,
    /// Calls at a time, by a number that is found.
    #[serde(with = "super::form::Optional::<super::form::Shed>")]
    pub shed: Option<ShedPolicy>,
    /// The circuit breaker.
    #[serde(with = "super::form::Optional::<super::form::Breaker>")]
    pub breaker: Option<BreakerPolicy>,
    /// The longest that an attempt may take once it is let through.
    #[serde(with = "super::form::Optional::<super::form::Timeout>")]
    pub timeout: Option<Duration>,
}

/// The guards of incoming calls; `None` is one that is switched off. All are by default.
///
/// It is a document, too, as [`OutgoingSettings`] are.
///
/// # Examples
/// ```
/// use steadfast_guard::stack::IncomingSettings;
///
/// let settings: IncomingSettings = serde_json::from_str(r#"{
///     "serverTiming": true,
///     "deadline": {"default": "3s", "max": "1m"},
///     "keyedRateLimit": {"rate": "50/s", "burst": 100, "keysMax": 10000},
///     "bulkhead": {"concurrencyMax": 512},
///     "refuseExpired": {"shareMax": "20%"}
/// }"#)?;
/// assert_eq!(settings.keyed_rate_limit.map(|limit| limit.keys_max), Some(10_000));
/// assert_eq!(settings.bulkhead.map(|bulkhead| bulkhead.concurrency_max), Some(512));
///
/// let typo = serde_json::from_str::<IncomingSettings>(r#"{"bulkhead": {"concurrency": 512}}"#).unwrap_err();
/// assert!(typo.to_string().contains("unknown field `concurrency`, expected one of `concurrencyMax`"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct IncomingSettings {
    /// Whether answers say how long they took.
    pub server_timing: bool,
    /// The deadline that the caller states.
    #[serde(with = "super::form::Optional::<super::form::ServerDeadline>")]
    pub deadline: Option<ServerDeadlineLayer>,
    /// Calls per time of each key; what the key of a request is, is code.
    #[serde(with = "super::form::Optional::<super::form::KeyedRateLimit>")]
    pub keyed_rate_limit: Option<KeyedRateLimitSettings>,
    /// Whether failures, and what is refused for want of room, are substituted; what by is code.
    pub fallback: bool,
    /// Calls per time of all together.
    #[serde(with = "super::form::Optional::<super::form::RateLimit>")]
    pub rate_limit: Option<RateLimitSettings>,
    /// Calls at a time.
    #[serde(with = "super::form::Optional::<super::form::Bulkhead>")]
    pub bulkhead: Option<BulkheadPolicy>,
    /// Calls at a time, by a number that is found.
    #[serde(with = "super::form::Optional::<super::form::Shed>")]
    pub shed: Option<ShedPolicy>,
    /// Calls that are too late when their turn comes are refused.
    #[serde(with = "super::form::Optional::<super::form::RefuseExpired>")]
    pub refuse_expired: Option<RefuseExpiredPolicy>,
}

impl DeadlineSettings {
    /// Keeps back what is measured, and gives `default` to a request without a deadline.
    pub fn measured(default: Duration) -> Self {
        Self { default, overhead: None }
    }
}

impl Default for DeadlineSettings {
    /// Those of [`DeadlinePolicy`]: keeps back 20 ms, and gives 3 s to a request without a deadline.
    fn default() -> Self {
        DeadlinePolicy::default().into()
    }
}

impl From<DeadlinePolicy<Fixed>> for DeadlineSettings {
    fn from(policy: DeadlinePolicy<Fixed>) -> Self {
        Self { default: policy.default, overhead: Some(policy.overhead.0) }
    }
}

impl Default for BudgetPolicy {
    /// One repetition for five calls, and ten per second besides, as [`Budget`](steadfast_base::Budget) has it.
    fn default() -> Self {
        Self { share: 0.2, per_second: 10 }
    }
}

impl Default for HedgeSettings {
    /// One call in twenty is made a second time at most.
    fn default() -> Self {
        Self { policy: HedgePolicy::default(), budget: BudgetPolicy { share: 0.05, per_second: 0 } }
    }
}

impl Default for RateLimitSettings {
    /// A hundred calls per second; what does not conform is refused at once.
    fn default() -> Self {
        Self { quota: Quota::per_second(100), policy: RateLimitPolicy::default() }
    }
}

impl Default for KeyedRateLimitSettings {
    /// A hundred calls per second of each of ten thousand keys; what does not conform is refused at once.
    fn default() -> Self {
        Self { quota: Quota::per_second(100), policy: RateLimitPolicy::default(), keys_max: 10_000 }
    }
}
