//! Guards against load.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::{HumanDuration, Percentage, Rate};

use crate::deadline::RefuseExpiredPolicy;
use crate::stack::{KeyedRateLimitSettings, RateLimitSettings};
use crate::{BulkheadPolicy, Quota, RateLimitPolicy, ShedPolicy};

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct RateLimit {
    rate: Rate,
    /// Null: as many as the rate gives in its time.
    burst: Option<u32>,
    wait_max: HumanDuration,
}

impl From<RateLimitSettings> for RateLimit {
    fn from(RateLimitSettings { quota, policy }: RateLimitSettings) -> Self {
        // A quota whose window is no whole number of seconds is written per second, to the nearest thousandth.
        let rate = Rate::per_window(quota.permits(), quota.window()).unwrap_or_else(|| {
            let per_second = f64::from(quota.permits()) / quota.window().as_secs_f64();
            format!("{per_second:.3}/s").parse().unwrap_or_default()
        });
        Self { rate, burst: Some(quota.burst()), wait_max: HumanDuration(policy.wait_max) }
    }
}

impl TryFrom<RateLimit> for RateLimitSettings {
    type Error = &'static str;

    fn try_from(RateLimit { rate, burst, wait_max }: RateLimit) -> Result<Self, Self::Error> {
        let none = "the rate must be more than 0, and at most 4,294,967,295 in its time";
        let (permits, window) = rate.window().ok_or(none)?;
        let quota = Quota::new(permits, window);
        let quota = burst.map_or(quota, |burst| quota.with_burst(burst));
        Ok(Self { quota, policy: RateLimitPolicy { wait_max: wait_max.0 } })
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        let mut form: Self = RateLimitSettings::default().into();
        form.burst = None;
        form
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct KeyedRateLimit {
    rate: Rate,
    /// Null: as many as the rate gives in its time.
    burst: Option<u32>,
    wait_max: HumanDuration,
    keys_max: usize,
}

impl From<KeyedRateLimitSettings> for KeyedRateLimit {
    fn from(KeyedRateLimitSettings { quota, policy, keys_max }: KeyedRateLimitSettings) -> Self {
        let RateLimit { rate, burst, wait_max } = RateLimitSettings { quota, policy }.into();
        Self { rate, burst, wait_max, keys_max }
    }
}

impl TryFrom<KeyedRateLimit> for KeyedRateLimitSettings {
    type Error = &'static str;

    fn try_from(form: KeyedRateLimit) -> Result<Self, Self::Error> {
        let KeyedRateLimit { rate, burst, wait_max, keys_max } = form;
        let RateLimitSettings { quota, policy } = RateLimit { rate, burst, wait_max }.try_into()?;
        Ok(Self { quota, policy, keys_max })
    }
}

impl Default for KeyedRateLimit {
    fn default() -> Self {
        let mut form: Self = KeyedRateLimitSettings::default().into();
        form.burst = None;
        form
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Bulkhead {
    concurrency_max: u32,
    queue_max: usize,
    wait_max: HumanDuration,
    /// Null: never.
    newest_first_after: Option<HumanDuration>,
}

impl From<BulkheadPolicy> for Bulkhead {
    fn from(policy: BulkheadPolicy) -> Self {
        let BulkheadPolicy { concurrency_max, queue_max, wait_max, newest_first_after } = policy;
        let newest_first_after = finite(newest_first_after);
        Self { concurrency_max, queue_max, wait_max: HumanDuration(wait_max), newest_first_after }
    }
}

impl From<Bulkhead> for BulkheadPolicy {
    fn from(form: Bulkhead) -> Self {
        let Bulkhead { concurrency_max, queue_max, wait_max, newest_first_after } = form;
        let newest_first_after = newest_first_after.map_or(Duration::MAX, Into::into);
        Self { concurrency_max, queue_max, wait_max: wait_max.0, newest_first_after }
    }
}

impl Default for Bulkhead {
    fn default() -> Self {
        BulkheadPolicy::default().into()
    }
}

/// Returns the duration unless it stands for none.
pub(super) fn finite(duration: Duration) -> Option<HumanDuration> {
    (duration != Duration::MAX).then_some(HumanDuration(duration))
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct Shed {
    limit_initial: u32,
    limit_min: u32,
    limit_max: u32,
    tolerance: f64,
    window: HumanDuration,
    samples_min: u32,
    probe_every: HumanDuration,
    queue_max: usize,
    wait_max: HumanDuration,
    wait_target: HumanDuration,
}

impl From<ShedPolicy> for Shed {
    fn from(policy: ShedPolicy) -> Self {
        Self {
            limit_initial: policy.limit_initial,
            limit_min: policy.limit_min,
            limit_max: policy.limit_max,
            tolerance: policy.tolerance,
            window: HumanDuration(policy.window),
            samples_min: policy.samples_min,
            probe_every: HumanDuration(policy.probe_every),
            queue_max: policy.queue_max,
            wait_max: HumanDuration(policy.wait_max),
            wait_target: HumanDuration(policy.wait_target),
        }
    }
}

impl From<Shed> for ShedPolicy {
    fn from(form: Shed) -> Self {
        Self {
            limit_initial: form.limit_initial,
            limit_min: form.limit_min,
            limit_max: form.limit_max,
            tolerance: form.tolerance,
            window: form.window.0,
            samples_min: form.samples_min,
            probe_every: form.probe_every.0,
            queue_max: form.queue_max,
            wait_max: form.wait_max.0,
            wait_target: form.wait_target.0,
        }
    }
}

impl Default for Shed {
    fn default() -> Self {
        ShedPolicy::default().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::stack) struct RefuseExpired {
    share_max: Percentage,
}

impl From<RefuseExpiredPolicy> for RefuseExpired {
    fn from(RefuseExpiredPolicy { share_max }: RefuseExpiredPolicy) -> Self {
        Self { share_max: Percentage::from_ratio(share_max) }
    }
}

impl From<RefuseExpired> for RefuseExpiredPolicy {
    fn from(RefuseExpired { share_max }: RefuseExpired) -> Self {
        Self { share_max: share_max.ratio() }
    }
}

impl Default for RefuseExpired {
    fn default() -> Self {
        RefuseExpiredPolicy::default().into()
    }
}
