//! The stack for incoming calls, as it is put together.

#![allow(clippy::type_complexity, reason = "the order of the guards is a type, and aliases would hide it")]

use std::marker::PhantomData;
use std::sync::Arc;

use steadfast_base::Seed;

use super::chain::{Absent, Named, NoFallback};
use super::places::{Bulkhead, RateLimit, RefuseExpired, ServerDeadline, ServerTiming, Shed};
use super::{Error, IncomingSettings, RateLimitSettings, Stack, WithinDeadline};
use crate::deadline::RefuseExpiredPolicy;
use crate::{BulkheadPolicy, Quota, RateLimitPolicy, ServerDeadlineLayer, ShedPolicy};

/// Puts guards of incoming calls together, in whatever order they are named; made by [`Stack::incoming`].
///
/// Each guard can be named once. The parameters say which are: `G` the server timing, `D` the deadline, `L` the rate
/// limit, `B` the bulkhead, `A` the adaptive limit, `E` the refusal of expired calls.
#[must_use = "the stack is made by `build`"]
#[derive(Debug)]
pub struct Incoming<G = Absent, D = Absent, L = Absent, B = Absent, A = Absent, E = Absent> {
    name: Arc<str>,
    settings: IncomingSettings,
    seed: Seed,
    places: PhantomData<fn() -> IncomingPlaces<G, D, L, B, A, E>>,
}

/// The places of the guards of an incoming call, outermost first. This is their order.
pub type IncomingPlaces<G, D, L, B, A, E> = (G, (D, (L, (B, (A, (E, ()))))));

/// The places of a stack that has all of them.
pub type AllIncoming = IncomingPlaces<ServerTiming, ServerDeadline, RateLimit, Bulkhead, Shed, RefuseExpired>;

/// A stack for incoming calls in which every guard can be switched on and off; made by [`Incoming::configured`].
pub type IncomingStack = Stack<IncomingSettings, AllIncoming>;

impl Incoming {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { name, settings: IncomingSettings::default(), seed: Seed::random(), places: PhantomData }
    }

    /// Makes a stack with a place for every guard, set by `settings`, which a document can give. All of it can be changed,
    /// and switched on and off, by [`Stack::apply`].
    ///
    /// # Errors
    /// [`Error`] when settings contradict each other, or cannot be.
    pub fn configured(self, settings: &IncomingSettings) -> Result<IncomingStack, Error> {
        let all = vec!["serverTiming", "deadline", "rateLimit", "bulkhead", "shed", "refuseExpired"];
        Stack::new(self.name, all, settings, None, self.seed, NoFallback::default())
    }
}

impl<G, D, L, B, A, E> Incoming<G, D, L, B, A, E> {
    /// Spreads the probes of load shedding by `seed`, so that a run can be repeated. A random one is taken otherwise.
    pub fn seed(self, seed: Seed) -> Self {
        Self { seed, ..self }
    }

    /// Returns the same with other places, after `set` was done.
    fn with_places<G2, D2, L2, B2, A2, E2>(
        mut self,
        set: impl FnOnce(&mut IncomingSettings),
    ) -> Incoming<G2, D2, L2, B2, A2, E2> {
        set(&mut self.settings);
        let Self { name, settings, seed, .. } = self;
        Incoming { name, settings, seed, places: PhantomData }
    }
}

impl<D, L, B, A, E> Incoming<Absent, D, L, B, A, E> {
    /// Says in each answer how long it took, from which callers learn what is lost on the way.
    pub fn server_timing(self) -> Incoming<ServerTiming, D, L, B, A, E> {
        self.with_places(|all| all.server_timing = true)
    }
}

impl<G, L, B, A, E> Incoming<G, Absent, L, B, A, E> {
    /// Gives each request the deadline that its caller states.
    pub fn deadline(self, layer: ServerDeadlineLayer) -> Incoming<G, ServerDeadline, L, B, A, E> {
        self.with_places(|all| all.deadline = Some(layer))
    }
}

impl<G, D, B, A, E> Incoming<G, D, Absent, B, A, E> {
    /// Takes calls at the rate of a quota.
    pub fn rate_limit(self, quota: Quota, policy: RateLimitPolicy) -> Incoming<G, D, RateLimit, B, A, E> {
        self.with_places(|all| all.rate_limit = Some(RateLimitSettings { quota, policy }))
    }
}

impl<G, D, L, A, E> Incoming<G, D, L, Absent, A, E> {
    /// Takes so many calls at a time.
    pub fn bulkhead(self, policy: BulkheadPolicy) -> Incoming<G, D, L, Bulkhead, A, E> {
        self.with_places(|all| all.bulkhead = Some(policy))
    }
}

impl<G, D, L, B, E> Incoming<G, D, L, B, Absent, E> {
    /// Takes as many calls at a time as the handler can bear, by a number that is found.
    pub fn shed(self, policy: ShedPolicy) -> Incoming<G, D, L, B, Shed, E> {
        self.with_places(|all| all.shed = Some(policy))
    }
}

impl<G, D, L, B, A> Incoming<G, D, L, B, A, Absent> {
    /// Refuses calls that are too late when their turn comes. Needs a deadline.
    pub fn refuse_expired(self, policy: RefuseExpiredPolicy) -> Incoming<G, D, L, B, A, RefuseExpired> {
        self.with_places(|all| all.refuse_expired = Some(policy))
    }
}

impl<G, D, L, B, A, E> Incoming<G, D, L, B, A, E>
where
    G: Named,
    D: Named,
    L: Named,
    B: Named,
    A: Named,
    E: Named + WithinDeadline<D>,
{
    /// Makes the stack. Guards that were not named have no place in it: they cost nothing, and cannot be switched on
    /// later. Those that were named can be changed, and switched off, by [`Stack::apply`].
    ///
    /// # Errors
    /// [`Error`] when settings contradict each other, or cannot be.
    pub fn build(self) -> Result<Stack<IncomingSettings, IncomingPlaces<G, D, L, B, A, E>>, Error> {
        let named = [G::NAME, D::NAME, L::NAME, B::NAME, A::NAME, E::NAME].into_iter().flatten().collect();
        let Self { name, settings, seed, .. } = self;
        Stack::new(name, named, &settings, None, seed, NoFallback::default())
    }
}
