//! The places of the guards: how each is put around a service, and how it takes over its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{Named, Place};
use super::current::{Current, Parts};
use super::switch::{Adjust, Refresh, Switch};
use crate::breaker::BreakerService;
use crate::bulkhead::BulkheadService;
use crate::deadline::{
    Chosen, DeadlinePolicy, DeadlineService, Fixed, RefuseExpiredService, ServerDeadlineService,
    ServerTimingService,
};
use crate::fallback::FallbackService;
use crate::hedge::HedgeService;
use crate::rate_limit::{ByKey, RateLimitPolicy, RateLimitService};
use crate::retry::RetryService;
use crate::shed::ShedService;
use crate::timeout::{TimeoutPolicy, TimeoutService};
use crate::{FallbackLayer, RateLimiter, ServerDeadlineLayer};

/// Defines the place of a guard: its name, the service that it makes of parts, and how that takes over settings.
macro_rules! place {
    ($(#[$doc:meta])* $place:ident $name:literal => $service:ty;
     |$inner:ident, $parts:ident| $make:expr;
     |$guard:ident, $parts_now:pat_param, $current:ident| $adjust:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $place(());

        impl Named for $place {
            const NAME: Option<&'static str> = Some($name);
        }

        impl<S: Refresh> Place<S> for $place {
            type Service = Switch<$service>;

            fn wrap(&self, $inner: S, $parts: &Parts, current: &Current) -> Self::Service {
                let guard = $make;
                Switch::new(guard, $parts, current)
            }
        }

        impl<S> Adjust for $service {
            type Inner = S;

            fn inner(&mut self) -> &mut S {
                &mut self.inner
            }

            fn adjust(&mut self, $parts_now: &Parts, $current: &Current) -> bool {
                let $guard = self;
                $adjust
            }
        }
    };
}

const MADE: &str = "a guard that is named is made when the stack is built";

place! {
    /// Where the deadline of outgoing calls stands.
    Deadline "deadline" => DeadlineService<S, Chosen>;
    |inner, parts| {
        let overhead = Chosen::Measured(parts.measured.clone());
        DeadlineService { inner, policy: DeadlinePolicy { overhead, default: Duration::ZERO } }
    };
    |guard, parts, current| match current.settings.deadline {
        Some(settings) => {
            guard.policy.default = settings.default;
            match (settings.overhead, &guard.policy.overhead) {
                (Some(time), _) => guard.policy.overhead = Chosen::Fixed(Fixed(time)),
                (None, Chosen::Measured(_)) => {}
                (None, Chosen::Fixed(_)) => guard.policy.overhead = Chosen::Measured(parts.measured.clone()),
            }
            true
        }
        None => false,
    }
}

place! {
    /// Where second attempts are made.
    Hedge "hedge" => HedgeService<S>;
    |inner, parts| HedgeService { inner, hedge: parts.hedge.clone().expect(MADE).0 };
    |_guard, _, current| current.settings.hedge.is_some()
}

place! {
    /// Where calls are repeated.
    Retry "retry" => RetryService<S>;
    |inner, parts| RetryService { inner, shared: parts.retry.clone().expect(MADE).0.shared };
    |guard, _, current| match &current.retry {
        Some(layer) => {
            guard.shared = layer.shared.clone();
            true
        }
        None => false,
    }
}

place! {
    /// Where the rate is limited.
    RateLimit "rateLimit" => RateLimitService<S, RateLimiter>;
    |inner, parts| RateLimitService {
        inner,
        limit: parts.rate_limiter.clone().expect(MADE),
        policy: RateLimitPolicy::default(),
    };
    |guard, _, current| match current.settings.rate_limit {
        Some(settings) => {
            guard.policy = settings.policy;
            true
        }
        None => false,
    }
}

place! {
    /// Where the bulkhead stands.
    Bulkhead "bulkhead" => BulkheadService<S>;
    |inner, parts| BulkheadService { inner, bulkhead: parts.bulkhead.clone().expect(MADE) };
    |_guard, _, current| current.settings.bulkhead.is_some()
}

place! {
    /// Where load is shed.
    Shed "shed" => ShedService<S>;
    |inner, parts| ShedService { inner, shed: parts.shed.clone().expect(MADE) };
    |_guard, _, current| current.settings.shed.is_some()
}

place! {
    /// Where the circuit breaker stands.
    Breaker "breaker" => BreakerService<S>;
    |inner, parts| BreakerService { inner, breaker: parts.breaker.clone().expect(MADE) };
    |_guard, _, current| current.settings.breaker.is_some()
}

place! {
    /// Where an attempt that was let through is bounded.
    Timeout "timeout" => TimeoutService<S>;
    |inner, _parts| TimeoutService { inner, policy: TimeoutPolicy::default() };
    |guard, _, current| match current.settings.timeout {
        Some(after) => {
            guard.policy = TimeoutPolicy { after };
            true
        }
        None => false,
    }
}

place! {
    /// Where answers say how long they took.
    ServerTiming "serverTiming" => ServerTimingService<S>;
    |inner, _parts| ServerTimingService { inner };
    |_guard, _, current| current.settings.server_timing
}

place! {
    /// Where incoming requests get the deadline that their caller states.
    ServerDeadline "deadline" => ServerDeadlineService<S>;
    |inner, _parts| ServerDeadlineService { inner, policy: ServerDeadlineLayer::default() };
    |guard, _, current| match current.settings.server_deadline {
        Some(policy) => {
            guard.policy = policy;
            true
        }
        None => false,
    }
}

place! {
    /// Where calls are refused that came too late.
    RefuseExpired "refuseExpired" => RefuseExpiredService<S>;
    |inner, parts| RefuseExpiredService { inner, shared: parts.refuse_expired.clone().expect(MADE).shared };
    |_guard, _, current| current.settings.refuse_expired.is_some()
}

/// Where failures are substituted: the layer that was named, for what it substitutes is code.
impl<X> Named for FallbackLayer<X> {
    const NAME: Option<&'static str> = Some("fallback");
}

impl<S: Refresh, X> Place<S> for FallbackLayer<X> {
    type Service = Switch<FallbackService<S, X>>;

    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service {
        let guard = FallbackService { inner, shared: Arc::clone(&self.shared) };
        Switch::new(guard, parts, current)
    }
}

impl<S, X> Adjust for FallbackService<S, X> {
    type Inner = S;

    fn inner(&mut self) -> &mut S {
        &mut self.inner
    }

    fn adjust(&mut self, _: &Parts, current: &Current) -> bool {
        current.settings.fallback
    }
}

/// Where the rate of each key is limited. It holds the function that reads the key of a request, which is code.
#[derive(Clone)]
pub struct KeyedRateLimit<X>(pub(super) X);

impl<X> Named for KeyedRateLimit<X> {
    const NAME: Option<&'static str> = Some("keyedRateLimit");
}

impl<S: Refresh, X: Clone> Place<S> for KeyedRateLimit<X> {
    type Service = Switch<RateLimitService<S, ByKey<X>>>;

    fn wrap(&self, inner: S, parts: &Parts, current: &Current) -> Self::Service {
        let limit = parts.keyed_rate_limiter.clone().expect(MADE).by(self.0.clone());
        Switch::new(RateLimitService { inner, limit, policy: RateLimitPolicy::default() }, parts, current)
    }
}

impl<S, X> Adjust for RateLimitService<S, ByKey<X>> {
    type Inner = S;

    fn inner(&mut self) -> &mut S {
        &mut self.inner
    }

    fn adjust(&mut self, _: &Parts, current: &Current) -> bool {
        match current.settings.keyed_rate_limit {
            Some(settings) => {
                self.policy = settings.policy;
                true
            }
            None => false,
        }
    }
}

impl<X> fmt::Debug for KeyedRateLimit<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedRateLimit")
    }
}
