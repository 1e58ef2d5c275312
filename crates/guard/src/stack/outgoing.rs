//! The stack for outgoing calls, as it is put together.

#![allow(clippy::type_complexity, reason = "the order of the guards is a type, and aliases would hide it")]

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::Seed;

use super::chain::{Absent, Named};
use super::places::{Breaker, Bulkhead, Deadline, Hedge, RateLimit, Retry, Shed, Timeout};
use super::{
    BudgetPolicy, DeadlineSettings, Error, HedgeSettings, OutgoingSettings, RateLimitSettings, RetrySettings,
    Stack, WithinDeadline,
};
use crate::{
    BreakerPolicy, BulkheadPolicy, FallbackLayer, HedgePolicy, Quota, RateLimitPolicy, Registry, RetryPolicy,
    ShedPolicy,
};

/// Puts guards of outgoing calls together, in whatever order they are named; made by [`Stack::outgoing`].
///
/// Each guard can be named once. The parameters say which are: `F` the fallback, `D` the deadline, `H` the hedge, `R`
/// the retry, `L` the rate limit, `B` the bulkhead, `A` the adaptive limit, `K` the circuit breaker, `T` the timeout.
#[must_use = "the stack is made by `build`"]
#[derive(Debug)]
pub struct Outgoing<
    F = Absent,
    D = Absent,
    H = Absent,
    R = Absent,
    L = Absent,
    B = Absent,
    A = Absent,
    K = Absent,
    T = Absent,
> {
    name: Arc<str>,
    settings: OutgoingSettings,
    registry: Option<Registry>,
    seed: Seed,
    fallback: F,
    places: PhantomData<fn() -> Places<F, D, H, R, L, B, A, K, T>>,
}

/// The places of the guards of an outgoing call, outermost first. This is their order.
pub type Places<F, D, H, R, L, B, A, K, T> = (F, (D, (H, (R, (L, (B, (A, (K, (T, ())))))))));

/// The places of a stack that has all of them; a fallback only if it was named.
pub type AllOutgoing<F = Absent> =
    Places<F, Deadline, Hedge, Retry, RateLimit, Bulkhead, Shed, Breaker, Timeout>;

/// A stack for outgoing calls in which every guard can be switched on and off; made by [`Outgoing::configured`].
pub type OutgoingStack<F = Absent> = Stack<OutgoingSettings, AllOutgoing<F>>;

impl Outgoing {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            settings: OutgoingSettings::default(),
            registry: None,
            seed: Seed::random(),
            fallback: Absent::default(),
            places: PhantomData,
        }
    }
}

impl<F, D, H, R, L, B, A, K, T> Outgoing<F, D, H, R, L, B, A, K, T> {
    /// Lists the circuit breaker in `registry`; one of the stack's name that is there already is used.
    pub fn registry(self, registry: &Registry) -> Self {
        Self { registry: Some(registry.clone()), ..self }
    }

    /// Draws jitter from `seed`, so that a run can be repeated. A random one is taken otherwise.
    pub fn seed(self, seed: Seed) -> Self {
        Self { seed, ..self }
    }

    /// Returns the same with other places, after `set` was done.
    fn with_places<D2, H2, R2, L2, B2, A2, K2, T2>(
        mut self,
        set: impl FnOnce(&mut OutgoingSettings),
    ) -> Outgoing<F, D2, H2, R2, L2, B2, A2, K2, T2> {
        set(&mut self.settings);
        let Self { name, settings, registry, seed, fallback, .. } = self;
        Outgoing { name, settings, registry, seed, fallback, places: PhantomData }
    }
}

impl<D, H, R, L, B, A, K, T> Outgoing<Absent, D, H, R, L, B, A, K, T> {
    /// Substitutes something for failures, above all other guards.
    pub fn fallback<X>(self, layer: FallbackLayer<X>) -> Outgoing<FallbackLayer<X>, D, H, R, L, B, A, K, T> {
        let Self { name, mut settings, registry, seed, .. } = self;
        settings.fallback = true;
        Outgoing { name, settings, registry, seed, fallback: layer, places: PhantomData }
    }
}

impl<F, H, R, L, B, A, K, T> Outgoing<F, Absent, H, R, L, B, A, K, T> {
    /// Bounds each call, with all its attempts and waits, by the request's deadline. Takes a
    /// [`DeadlinePolicy`](crate::deadline::DeadlinePolicy) or [`DeadlineSettings`].
    pub fn deadline(
        self,
        settings: impl Into<DeadlineSettings>,
    ) -> Outgoing<F, Deadline, H, R, L, B, A, K, T> {
        self.with_places(|all| all.deadline = Some(settings.into()))
    }
}

impl<F, D, R, L, B, A, K, T> Outgoing<F, D, Absent, R, L, B, A, K, T> {
    /// Makes a second attempt where the first is late, paid from a budget. Needs a deadline.
    pub fn hedge(self, policy: HedgePolicy, budget: BudgetPolicy) -> Outgoing<F, D, Hedge, R, L, B, A, K, T> {
        self.with_places(|all| all.hedge = Some(HedgeSettings { policy, budget }))
    }
}

impl<F, D, H, L, B, A, K, T> Outgoing<F, D, H, Absent, L, B, A, K, T> {
    /// Repeats calls that failed in a way that may pass, paid from a budget. Needs a deadline.
    pub fn retry(self, policy: RetryPolicy, budget: BudgetPolicy) -> Outgoing<F, D, H, Retry, L, B, A, K, T> {
        self.with_places(|all| all.retry = Some(RetrySettings { policy, budget }))
    }
}

impl<F, D, H, R, B, A, K, T> Outgoing<F, D, H, R, Absent, B, A, K, T> {
    /// Makes attempts at the rate of a quota.
    pub fn rate_limit(
        self,
        quota: Quota,
        policy: RateLimitPolicy,
    ) -> Outgoing<F, D, H, R, RateLimit, B, A, K, T> {
        self.with_places(|all| all.rate_limit = Some(RateLimitSettings { quota, policy }))
    }
}

impl<F, D, H, R, L, A, K, T> Outgoing<F, D, H, R, L, Absent, A, K, T> {
    /// Makes so many attempts at a time.
    pub fn bulkhead(self, policy: BulkheadPolicy) -> Outgoing<F, D, H, R, L, Bulkhead, A, K, T> {
        self.with_places(|all| all.bulkhead = Some(policy))
    }
}

impl<F, D, H, R, L, B, K, T> Outgoing<F, D, H, R, L, B, Absent, K, T> {
    /// Makes as many attempts at a time as the callee can bear, by a number that is found.
    pub fn shed(self, policy: ShedPolicy) -> Outgoing<F, D, H, R, L, B, Shed, K, T> {
        self.with_places(|all| all.shed = Some(policy))
    }
}

impl<F, D, H, R, L, B, A, T> Outgoing<F, D, H, R, L, B, A, Absent, T> {
    /// Fails attempts fast while the callee is unwell.
    pub fn breaker(self, policy: BreakerPolicy) -> Outgoing<F, D, H, R, L, B, A, Breaker, T> {
        self.with_places(|all| all.breaker = Some(policy))
    }
}

impl<F, D, H, R, L, B, A, K> Outgoing<F, D, H, R, L, B, A, K, Absent> {
    /// Gives an attempt up that takes longer than `after`, once it is let through.
    pub fn timeout(self, after: Duration) -> Outgoing<F, D, H, R, L, B, A, K, Timeout> {
        self.with_places(|all| all.timeout = Some(after))
    }
}

impl<F, D, H, R, L, B, A, K, T> Outgoing<F, D, H, R, L, B, A, K, T>
where
    F: Named,
    D: Named + Default,
    H: Named + Default + WithinDeadline<D>,
    R: Named + Default + WithinDeadline<D>,
    L: Named + Default,
    B: Named + Default,
    A: Named + Default,
    K: Named + Default,
    T: Named + Default,
{
    /// Makes the stack. Guards that were not named have no place in it: they cost nothing, and cannot be switched on
    /// later. Those that were named can be changed, and switched off, by [`Stack::apply`].
    ///
    /// # Errors
    /// [`Error`] when settings contradict each other, or cannot be.
    pub fn build(self) -> Result<Stack<OutgoingSettings, Places<F, D, H, R, L, B, A, K, T>>, Error> {
        let Self { name, settings, registry, seed, fallback, .. } = self;
        Stack::new(name, &settings, registry.as_ref(), seed, (fallback, Default::default()))
    }
}

impl<F: Named> Outgoing<F> {
    /// Makes a stack with a place for every guard, set by `settings`, which a document can give. All of it can be changed,
    /// and switched on and off, by [`Stack::apply`]; a fallback only if it was named, for what it substitutes is code.
    ///
    /// # Errors
    /// [`Error`] when settings contradict each other, or cannot be.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::stack::{DeadlineSettings, OutgoingSettings, Stack};
    ///
    /// let mut settings = OutgoingSettings { deadline: Some(DeadlineSettings::default()), ..OutgoingSettings::default() };
    /// let stack = Stack::outgoing("payment").configured(&settings)?;
    /// settings.retry = Some(Default::default());
    /// stack.apply(&settings)?;
    /// assert!(stack.to_string().contains("retry"));
    /// # Ok::<(), steadfast_guard::stack::Error>(())
    /// ```
    pub fn configured(self, settings: &OutgoingSettings) -> Result<OutgoingStack<F>, Error> {
        let Self { name, registry, seed, fallback, .. } = self;
        Stack::new(name, settings, registry.as_ref(), seed, (fallback, Default::default()))
    }
}
