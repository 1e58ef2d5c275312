//! The stack for incoming calls, as it is put together.

#![allow(clippy::type_complexity, reason = "the order of the guards is a type, and aliases would hide it")]

use std::marker::PhantomData;
use std::sync::Arc;

use steadfast_base::Seed;

use super::chain::{Absent, Named};
use super::places::{Bulkhead, KeyedRateLimit, RateLimit, RefuseExpired, ServerDeadline, ServerTiming, Shed};
use super::{Error, IncomingSettings, KeyedRateLimitSettings, RateLimitSettings, Stack, WithinDeadline};
use crate::deadline::RefuseExpiredPolicy;
use crate::rate_limit::Key;
use crate::{BulkheadPolicy, FallbackLayer, Quota, RateLimitPolicy, ServerDeadlineLayer, ShedPolicy};

/// Puts guards of incoming calls together, in whatever order they are named; made by [`Stack::incoming`].
///
/// Each guard can be named once. The parameters say which are: `G` the server timing, `D` the deadline, `K` the rate
/// limit by key, `F` the fallback, `L` the rate limit, `B` the bulkhead, `A` the adaptive limit, `E` the refusal of
/// expired calls.
#[must_use = "the stack is made by `build`"]
#[derive(Debug)]
pub struct Incoming<
    G = Absent,
    D = Absent,
    K = Absent,
    F = Absent,
    L = Absent,
    B = Absent,
    A = Absent,
    E = Absent,
> {
    name: Arc<str>,
    settings: IncomingSettings,
    seed: Seed,
    key: K,
    fallback: F,
    places: PhantomData<fn() -> IncomingPlaces<G, D, K, F, L, B, A, E>>,
}

/// The places of the guards of an incoming call, outermost first. This is their order.
pub type IncomingPlaces<G, D, K, F, L, B, A, E> = (G, (D, (K, (F, (L, (B, (A, (E, ()))))))));

/// The places of a stack that has all of them; a rate limit by key and a fallback only if they were named.
pub type AllIncoming<K = Absent, F = Absent> =
    IncomingPlaces<ServerTiming, ServerDeadline, K, F, RateLimit, Bulkhead, Shed, RefuseExpired>;

/// A stack for incoming calls in which every guard can be switched on and off; made by [`Incoming::configured`].
pub type IncomingStack<K = Absent, F = Absent> = Stack<IncomingSettings, AllIncoming<K, F>>;

impl Incoming {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            settings: IncomingSettings::default(),
            seed: Seed::random(),
            key: Absent::default(),
            fallback: Absent::default(),
            places: PhantomData,
        }
    }
}

impl<K: Named, F: Named> Incoming<Absent, Absent, K, F> {
    /// Makes a stack with a place for every guard, set by `settings`, which a document can give. All of it can be changed,
    /// and switched on and off, by [`Stack::apply`]; a rate limit by key and a fallback only if they were named, for what
    /// the key of a request is, and what is substituted, is code. What was set when they were named does not count then.
    ///
    /// # Errors
    /// [`Error`] when settings contradict each other, or cannot be.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::rate_limit::Key;
    /// use steadfast_guard::stack::{IncomingSettings, Stack};
    ///
    /// let by_tenant = |request: &http::Request<()>| Key::of(&request.headers().get("x-tenant"));
    /// let stack = Stack::incoming("orders")
    ///     .keyed_rate_limit(by_tenant, Default::default())
    ///     .configured(&IncomingSettings::default())?;
    /// assert!(stack.to_string().contains("keyedRateLimit off"));
    ///
    /// let settings = r#"{"keyedRateLimit": {"rate": "50/s", "burst": 100, "keysMax": 10000}}"#;
    /// stack.apply(&serde_json::from_str(settings)?)?;
    /// assert!(stack.to_string().contains("keyedRateLimit 50 per 1s, 100 at a time, for each of 10000 keys; refuses at once"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn configured(
        self,
        settings: &IncomingSettings,
    ) -> Result<Stack<IncomingSettings, AllIncoming<K, F>>, Error> {
        let Self { name, seed, key, fallback, .. } = self;
        let places =
            (ServerTiming::default(), (ServerDeadline::default(), (key, (fallback, Default::default()))));
        Stack::new(name, settings, None, seed, places)
    }
}

impl<G, D, K, F, L, B, A, E> Incoming<G, D, K, F, L, B, A, E> {
    /// Spreads the probes of load shedding by `seed`, so that a run can be repeated. A random one is taken otherwise.
    pub fn seed(self, seed: Seed) -> Self {
        Self { seed, ..self }
    }

    /// Returns the same with other places, after `set` was done.
    fn with_places<G2, D2, L2, B2, A2, E2>(
        mut self,
        set: impl FnOnce(&mut IncomingSettings),
    ) -> Incoming<G2, D2, K, F, L2, B2, A2, E2> {
        set(&mut self.settings);
        let Self { name, settings, seed, key, fallback, .. } = self;
        Incoming { name, settings, seed, key, fallback, places: PhantomData }
    }
}

impl<D, K, F, L, B, A, E> Incoming<Absent, D, K, F, L, B, A, E> {
    /// Says in each answer how long it took, from which callers learn what is lost on the way.
    pub fn server_timing(self) -> Incoming<ServerTiming, D, K, F, L, B, A, E> {
        self.with_places(|all| all.server_timing = true)
    }
}

impl<G, K, F, L, B, A, E> Incoming<G, Absent, K, F, L, B, A, E> {
    /// Gives each request the deadline that its caller states.
    pub fn deadline(self, layer: ServerDeadlineLayer) -> Incoming<G, ServerDeadline, K, F, L, B, A, E> {
        self.with_places(|all| all.deadline = Some(layer))
    }
}

impl<G, D, F, L, B, A, E> Incoming<G, D, Absent, F, L, B, A, E> {
    /// Takes calls of each key at the rate of a quota: of a tenant, a customer, an address. `key` reads it from the request,
    /// and costs what it costs with each call. Requests from which it reads the same have one quota, those too that state
    /// none.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::Quota;
    /// use steadfast_guard::rate_limit::Key;
    /// use steadfast_guard::stack::{KeyedRateLimitSettings, Stack};
    ///
    /// let settings = KeyedRateLimitSettings { quota: Quota::per_second(50), ..KeyedRateLimitSettings::default() };
    /// let stack = Stack::incoming("orders")
    ///     .keyed_rate_limit(|request: &http::Request<()>| Key::of(&request.headers().get("x-tenant")), settings)
    ///     .build()?;
    /// assert_eq!(stack.keyed_rate_limiter().map(|limiter| limiter.keys()), Some(0));
    /// # Ok::<(), steadfast_guard::stack::Error>(())
    /// ```
    pub fn keyed_rate_limit<Req, X>(
        self,
        key: X,
        settings: KeyedRateLimitSettings,
    ) -> Incoming<G, D, KeyedRateLimit<X>, F, L, B, A, E>
    where
        X: Fn(&Req) -> Key,
    {
        let Self { name, settings: mut all, seed, fallback, .. } = self;
        all.keyed_rate_limit = Some(settings);
        Incoming { name, settings: all, seed, key: KeyedRateLimit(key), fallback, places: PhantomData }
    }
}

impl<G, D, K, L, B, A, E> Incoming<G, D, K, Absent, L, B, A, E> {
    /// Substitutes something for answers that fail, and for what is refused for want of room. Who has used up the quota of
    /// its key is told so all the same.
    pub fn fallback<X>(self, layer: FallbackLayer<X>) -> Incoming<G, D, K, FallbackLayer<X>, L, B, A, E> {
        let Self { name, mut settings, seed, key, .. } = self;
        settings.fallback = true;
        Incoming { name, settings, seed, key, fallback: layer, places: PhantomData }
    }
}

impl<G, D, K, F, B, A, E> Incoming<G, D, K, F, Absent, B, A, E> {
    /// Takes calls at the rate of a quota.
    pub fn rate_limit(
        self,
        quota: Quota,
        policy: RateLimitPolicy,
    ) -> Incoming<G, D, K, F, RateLimit, B, A, E> {
        self.with_places(|all| all.rate_limit = Some(RateLimitSettings { quota, policy }))
    }
}

impl<G, D, K, F, L, A, E> Incoming<G, D, K, F, L, Absent, A, E> {
    /// Takes so many calls at a time.
    pub fn bulkhead(self, policy: BulkheadPolicy) -> Incoming<G, D, K, F, L, Bulkhead, A, E> {
        self.with_places(|all| all.bulkhead = Some(policy))
    }
}

impl<G, D, K, F, L, B, E> Incoming<G, D, K, F, L, B, Absent, E> {
    /// Takes as many calls at a time as the handler can bear, by a number that is found.
    pub fn shed(self, policy: ShedPolicy) -> Incoming<G, D, K, F, L, B, Shed, E> {
        self.with_places(|all| all.shed = Some(policy))
    }
}

impl<G, D, K, F, L, B, A> Incoming<G, D, K, F, L, B, A, Absent> {
    /// Refuses calls that are too late when their turn comes. Needs a deadline.
    pub fn refuse_expired(self, policy: RefuseExpiredPolicy) -> Incoming<G, D, K, F, L, B, A, RefuseExpired> {
        self.with_places(|all| all.refuse_expired = Some(policy))
    }
}

impl<G, D, K, F, L, B, A, E> Incoming<G, D, K, F, L, B, A, E>
where
    G: Named + Default,
    D: Named + Default,
    K: Named,
    F: Named,
    L: Named + Default,
    B: Named + Default,
    A: Named + Default,
    E: Named + Default + WithinDeadline<D>,
{
    /// Makes the stack. Guards that were not named have no place in it: they cost nothing, and cannot be switched on
    /// later. Those that were named can be changed, and switched off, by [`Stack::apply`].
    ///
    /// # Errors
    /// [`Error`] when settings contradict each other, or cannot be.
    pub fn build(self) -> Result<Stack<IncomingSettings, IncomingPlaces<G, D, K, F, L, B, A, E>>, Error> {
        let Self { name, settings, seed, key, fallback, .. } = self;
        let places = (G::default(), (D::default(), (key, (fallback, Default::default()))));
        Stack::new(name, &settings, None, seed, places)
    }
}
