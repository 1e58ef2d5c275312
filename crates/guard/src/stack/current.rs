//! What a stack consists of, and how it is set at the moment.

use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Budget, Seed};

use super::{
    BudgetPolicy, DeadlineSettings, HedgeSettings, IncomingSettings, KeyedRateLimitSettings,
    OutgoingSettings, RateLimitSettings, RetrySettings,
};
use crate::deadline::{Measured, RefuseExpiredPolicy};
use crate::{
    Breaker, BreakerPolicy, Bulkhead, BulkheadPolicy, Hedge, KeyedRateLimiter, RateLimiter,
    RefuseExpiredLayer, Registry, RetryLayer, ServerDeadlineLayer, Shed, ShedPolicy,
};

/// The settings of all guards that there are. A guard that is not of this direction is off.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Settings {
    pub(super) fallback: bool,
    pub(super) deadline: Option<DeadlineSettings>,
    pub(super) hedge: Option<HedgeSettings>,
    pub(super) retry: Option<RetrySettings>,
    pub(super) rate_limit: Option<RateLimitSettings>,
    pub(super) bulkhead: Option<BulkheadPolicy>,
    pub(super) shed: Option<ShedPolicy>,
    pub(super) breaker: Option<BreakerPolicy>,
    pub(super) timeout: Option<Duration>,
    pub(super) server_timing: bool,
    pub(super) server_deadline: Option<ServerDeadlineLayer>,
    pub(super) keyed_rate_limit: Option<KeyedRateLimitSettings>,
    pub(super) refuse_expired: Option<RefuseExpiredPolicy>,
}

/// The guards of a stack that keep something from call to call. They stay when settings change.
#[derive(Debug, Clone)]
pub struct Parts {
    pub(super) name: Arc<str>,
    /// What was named when the stack was built, outermost first.
    pub(super) named: Vec<&'static str>,
    pub(super) measured: Measured,
    pub(super) hedge: Option<(Hedge, Arc<Budget>)>,
    pub(super) retry: Option<(RetryLayer, Arc<Budget>)>,
    pub(super) keyed_rate_limiter: Option<KeyedRateLimiter>,
    pub(super) rate_limiter: Option<RateLimiter>,
    pub(super) bulkhead: Option<Bulkhead>,
    pub(super) shed: Option<Shed>,
    pub(super) breaker: Option<Breaker>,
    pub(super) refuse_expired: Option<RefuseExpiredLayer>,
}

/// How a stack is set at the moment.
#[derive(Debug, Clone)]
pub struct Current {
    pub(super) settings: Settings,
    /// The layer of the policy that is set, for all services to share.
    pub(super) retry: Option<RetryLayer>,
}

impl From<&OutgoingSettings> for Settings {
    fn from(outgoing: &OutgoingSettings) -> Self {
        let OutgoingSettings {
            fallback,
            deadline,
            hedge,
            retry,
            rate_limit,
            bulkhead,
            shed,
            breaker,
            timeout,
        } = *outgoing;
        Self {
            fallback,
            deadline,
            hedge,
            retry,
            rate_limit,
            bulkhead,
            shed,
            breaker,
            timeout,
            ..Self::default()
        }
    }
}

impl From<&IncomingSettings> for Settings {
    fn from(incoming: &IncomingSettings) -> Self {
        let IncomingSettings {
            server_timing,
            deadline,
            keyed_rate_limit,
            fallback,
            rate_limit,
            bulkhead,
            shed,
            refuse_expired,
        } = *incoming;
        Self {
            server_timing,
            server_deadline: deadline,
            keyed_rate_limit,
            fallback,
            rate_limit,
            bulkhead,
            shed,
            refuse_expired,
            ..Self::default()
        }
    }
}

impl Settings {
    /// The names of the guards that are switched on.
    pub(super) fn on(&self) -> impl Iterator<Item = &'static str> {
        [
            ("keyedRateLimit", self.keyed_rate_limit.is_some()),
            ("fallback", self.fallback),
            ("deadline", self.deadline.is_some() || self.server_deadline.is_some()),
            ("hedge", self.hedge.is_some()),
            ("retry", self.retry.is_some()),
            ("rateLimit", self.rate_limit.is_some()),
            ("bulkhead", self.bulkhead.is_some()),
            ("shed", self.shed.is_some()),
            ("breaker", self.breaker.is_some()),
            ("timeout", self.timeout.is_some()),
            ("serverTiming", self.server_timing),
            ("refuseExpired", self.refuse_expired.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_on)| is_on.then_some(name))
    }
}

impl Parts {
    /// Makes the guards that are named, by their settings, or by their defaults where they begin switched off.
    pub(super) fn new(
        name: Arc<str>,
        named: Vec<&'static str>,
        settings: &Settings,
        registry: Option<&Registry>,
        seed: Seed,
    ) -> Self {
        let has = |guard: &str| named.contains(&guard);
        let budget =
            |BudgetPolicy { share, per_second }: BudgetPolicy| Arc::new(Budget::new(share, per_second));
        let hedge = has("hedge").then(|| {
            let HedgeSettings { policy, budget: policy_of_budget } = settings.hedge.unwrap_or_default();
            let budget = budget(policy_of_budget);
            (Hedge::new(&*name, policy, Arc::clone(&budget)), budget)
        });
        let retry = has("retry").then(|| {
            let RetrySettings { policy, budget: policy_of_budget } = settings.retry.unwrap_or_default();
            let budget = budget(policy_of_budget);
            (RetryLayer::new(policy, Arc::clone(&budget), seed), budget)
        });
        let breaker = has("breaker").then(|| {
            let policy = settings.breaker.unwrap_or_default();
            match registry {
                Some(registry) => registry.breaker(&name, policy),
                None => Breaker::new(Arc::clone(&name), policy),
            }
        });
        Self {
            measured: Measured::default(),
            hedge,
            retry,
            keyed_rate_limiter: has("keyedRateLimit").then(|| {
                let KeyedRateLimitSettings { quota, keys_max, .. } =
                    settings.keyed_rate_limit.unwrap_or_default();
                KeyedRateLimiter::new(quota, keys_max)
            }),
            rate_limiter: has("rateLimit")
                .then(|| RateLimiter::new(settings.rate_limit.unwrap_or_default().quota)),
            bulkhead: has("bulkhead").then(|| Bulkhead::new(&*name, settings.bulkhead.unwrap_or_default())),
            shed: has("shed").then(|| Shed::new(&*name, settings.shed.unwrap_or_default(), seed)),
            breaker,
            refuse_expired: has("refuseExpired")
                .then(|| RefuseExpiredLayer::new(settings.refuse_expired.unwrap_or_default())),
            name,
            named,
        }
    }

    /// Changes the guards in place. One that is switched off stays as it is.
    pub(super) fn change(&self, settings: &Settings) {
        if let (Some((hedge, budget)), Some(settings)) = (&self.hedge, settings.hedge) {
            hedge.set_policy(settings.policy);
            budget.set(settings.budget.share, settings.budget.per_second);
        }
        if let (Some((_, budget)), Some(settings)) = (&self.retry, settings.retry) {
            budget.set(settings.budget.share, settings.budget.per_second);
        }
        if let (Some(limiter), Some(settings)) = (&self.keyed_rate_limiter, settings.keyed_rate_limit) {
            if limiter.quota() != settings.quota {
                limiter.set_quota(settings.quota);
            }
            limiter.set_keys_max(settings.keys_max);
        }
        if let (Some(limiter), Some(settings)) = (&self.rate_limiter, settings.rate_limit)
            && limiter.quota() != settings.quota
        {
            limiter.set_quota(settings.quota);
        }
        if let (Some(bulkhead), Some(policy)) = (&self.bulkhead, settings.bulkhead) {
            bulkhead.set_policy(policy);
        }
        if let (Some(shed), Some(policy)) = (&self.shed, settings.shed) {
            shed.set_policy(policy);
        }
        if let (Some(breaker), Some(policy)) = (&self.breaker, settings.breaker) {
            breaker.set_policy(policy);
        }
        if let (Some(layer), Some(policy)) = (&self.refuse_expired, settings.refuse_expired) {
            layer.set_policy(policy);
        }
    }
}

impl Current {
    pub(super) fn new(settings: Settings, parts: &Parts) -> Self {
        let retry = parts.retry.as_ref().zip(settings.retry);
        let retry = retry.map(|((layer, _), settings)| layer.with_policy(settings.policy));
        Self { settings, retry }
    }
}
