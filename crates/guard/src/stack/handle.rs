//! The stack that an application holds.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use steadfast_base::Seed;
use tower_layer::Layer;

use super::chain::{AllNamed, Chain};
use super::current::{Current, Parts, Settings};
use super::service::StackService;
use super::{Error, Incoming, IncomingSettings, Outgoing, OutgoingSettings, lines, rules};
use crate::{
    Breaker, Bulkhead, Hedge, KeyedRateLimiter, RateLimiter, RefuseExpiredLayer, Registry, RetryLayer, Shed,
};

/// Guards in their right order, as one layer; see the [module](crate::stack).
///
/// Clones, and all services made of it, share what the guards know, and change together. `T` is its settings, `C` the
/// places of its guards.
pub struct Stack<T, C> {
    shared: Arc<Shared>,
    places: C,
    settings: PhantomData<fn() -> T>,
}

/// What all services of a stack share.
pub(super) struct Shared {
    pub(super) parts: Parts,
    /// Raised whenever something changes.
    version: AtomicU64,
    current: Mutex<Arc<Current>>,
    /// Held while a change is made, so that the guards and the settings agree.
    changing: Mutex<()>,
}

/// Settings of a stack: [`OutgoingSettings`](super::OutgoingSettings) or [`IncomingSettings`](super::IncomingSettings).
pub trait StackSettings {
    /// Returns the settings as guards read them.
    #[doc(hidden)]
    fn flat(&self) -> Flat;
}

/// Settings as guards read them.
#[doc(hidden)]
#[derive(Debug)]
pub struct Flat(Settings);

impl StackSettings for OutgoingSettings {
    fn flat(&self) -> Flat {
        Flat(self.into())
    }
}

impl StackSettings for IncomingSettings {
    fn flat(&self) -> Flat {
        Flat(self.into())
    }
}

impl Stack<(), ()> {
    /// Begins a stack for the calls of the callee `name`, with no guard yet.
    pub fn outgoing(name: impl Into<Arc<str>>) -> Outgoing {
        Outgoing::new(name.into())
    }

    /// Begins a stack for the calls that the server `name` receives, with no guard yet.
    pub fn incoming(name: impl Into<Arc<str>>) -> Incoming {
        Incoming::new(name.into())
    }
}

impl<T: StackSettings, C> Stack<T, C> {
    pub(super) fn new(
        name: Arc<str>,
        settings: &T,
        registry: Option<&Registry>,
        seed: Seed,
        places: C,
    ) -> Result<Self, Error>
    where
        C: AllNamed,
    {
        let named = C::names();
        let Flat(settings) = settings.flat();
        rules::check(&settings)?;
        rules::check_named(&settings, &named)?;
        let parts = Parts::new(name, named, &settings, registry, seed);
        let current = Mutex::new(Arc::new(Current::new(settings, &parts)));
        let shared = Shared { parts, version: AtomicU64::new(1), current, changing: Mutex::new(()) };
        Ok(Self { shared: Arc::new(shared), places, settings: PhantomData })
    }

    /// Says whether [`apply`](Self::apply) would take the settings, for whoever changes several stacks or none.
    ///
    /// # Errors
    /// [`Error`] when it would not.
    pub fn check(&self, settings: &T) -> Result<(), Error> {
        let Flat(settings) = settings.flat();
        rules::check(&settings)?;
        rules::check_named(&settings, &self.shared.parts.named)
    }

    /// Changes the settings while calls run: what is under way ends as it was begun, what begins later is guarded by the
    /// new settings. Guards are switched on and off by it, and keep what they know: a breaker its phase and, where the
    /// window is of the same kind, its outcomes, a limiter what was used, a budget what is left. A bulkhead in which more
    /// calls are under way than are allowed now lets nobody in until there is room again.
    ///
    /// # Errors
    /// [`Error`] when the settings cannot be, or when a guard is to be switched on for which the stack has no place. The
    /// settings of before stay, all of them.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::stack::{Error, OutgoingSettings, Stack};
    /// use steadfast_guard::{BreakerPolicy, BulkheadPolicy};
    ///
    /// let stack = Stack::outgoing("payment").bulkhead(BulkheadPolicy::default()).build()?;
    /// let smaller = BulkheadPolicy { concurrency_max: 4, ..BulkheadPolicy::default() };
    /// stack.apply(&OutgoingSettings { bulkhead: Some(smaller), ..OutgoingSettings::default() })?;
    /// assert_eq!(stack.bulkhead().map(|bulkhead| bulkhead.snapshot().concurrency_max), Some(4));
    ///
    /// let breaker = OutgoingSettings { breaker: Some(BreakerPolicy::default()), ..OutgoingSettings::default() };
    /// assert_eq!(stack.apply(&breaker), Err(Error::NotNamed { guard: "breaker" }));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn apply(&self, settings: &T) -> Result<(), Error> {
        self.check(settings)?;
        let Flat(settings) = settings.flat();
        let _changing = self.shared.changing.lock();
        if self.shared.current().1.settings == settings {
            return Ok(());
        }
        self.shared.parts.change(&settings);
        let current = Arc::new(Current::new(settings, &self.shared.parts));
        let mut place = self.shared.current.lock();
        *place = current;
        // Raised under the lock, so that whoever reads a version reads its settings with it.
        self.shared.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl<T, C> Stack<T, C> {
    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.shared.parts.name
    }

    /// Returns the circuit breaker, if the stack has a place for one.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.shared.parts.breaker.as_ref()
    }

    /// Returns the bulkhead, if the stack has a place for one.
    pub fn bulkhead(&self) -> Option<&Bulkhead> {
        self.shared.parts.bulkhead.as_ref()
    }

    /// Returns the load shedding, if the stack has a place for it.
    pub fn shed(&self) -> Option<&Shed> {
        self.shared.parts.shed.as_ref()
    }

    /// Returns the rate limiter, if the stack has a place for one.
    pub fn rate_limiter(&self) -> Option<&RateLimiter> {
        self.shared.parts.rate_limiter.as_ref()
    }

    /// Returns the rate limiter that has a quota for each key, if the stack has a place for one.
    pub fn keyed_rate_limiter(&self) -> Option<&KeyedRateLimiter> {
        self.shared.parts.keyed_rate_limiter.as_ref()
    }

    /// Returns the hedging, if the stack has a place for it.
    pub fn hedge(&self) -> Option<&Hedge> {
        self.shared.parts.hedge.as_ref().map(|(hedge, _)| hedge)
    }

    /// Returns the layer that repeats calls, whose counts are of interest, if the stack has a place for it.
    pub fn retry(&self) -> Option<&RetryLayer> {
        self.shared.parts.retry.as_ref().map(|(layer, _)| layer)
    }

    /// Returns the layer that refuses expired calls, whose counts are of interest, if the stack has a place for it.
    pub fn refuse_expired(&self) -> Option<&RefuseExpiredLayer> {
        self.shared.parts.refuse_expired.as_ref()
    }
}

impl Shared {
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Returns the settings of the moment with their version.
    pub(super) fn current(&self) -> (u64, Arc<Current>) {
        let current = self.current.lock();
        (self.version(), Arc::clone(&current))
    }
}

impl<S, T, C: Chain<S>> Layer<S> for Stack<T, C> {
    type Service = StackService<C::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let (version, current) = self.shared.current();
        let inner = self.places.wrap(inner, &self.shared.parts, &current);
        StackService::new(Arc::clone(&self.shared), version, inner)
    }
}

/// One line for each guard, outermost first, with what is set.
impl<T, C> fmt::Display for Stack<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lines::write(f, &self.shared.current().1.settings, &self.shared.parts.named)
    }
}

impl<T, C> fmt::Debug for Stack<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("name", &self.name())
            .field("settings", &self.shared.current().1.settings)
            .finish_non_exhaustive()
    }
}

impl<T, C: Clone> Clone for Stack<T, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), places: self.places.clone(), settings: PhantomData }
    }
}
