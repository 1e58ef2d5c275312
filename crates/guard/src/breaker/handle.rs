//! The breaker that callers hold.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::gate::{Gate, Gates};
use super::news::News;
use super::state::{Machine, Outcome, Transition, nanos};
use super::window::Nanos;
use super::{BreakerOpen, BreakerPolicy, Change, Counts, Permit, Phase, Snapshot, Window};
use crate::stripes::{Stripe, Striped, count};

/// How many changes a subscriber may lag behind before it misses some.
pub(super) const CHANGES_MAX: usize = 64;

/// A circuit breaker for one callee. Clones share its state.
///
/// # Examples
/// ```
/// use steadfast_guard::breaker::{Breaker, BreakerPolicy, Phase};
///
/// let breaker = Breaker::new("payment", BreakerPolicy::default());
/// breaker.acquire(None).expect("it starts closed").succeed();
/// breaker.open();
/// assert_eq!(breaker.phase(), Phase::Open);
/// assert!(breaker.acquire(None).is_err());
/// breaker.close();
/// assert!(breaker.acquire(None).is_ok());
/// ```
#[derive(Clone)]
pub struct Breaker {
    shared: Striped<Shared, Entrance>,
}

/// What a breaker and its permits share. What calls only read stands apart from what they write.
pub(super) struct Shared {
    name: Arc<str>,
    epoch: Instant,
    gates: Gates,
    /// When the machine must be asked though the gates are open. Written when it has been.
    due: AtomicU64,
    changes: broadcast::Sender<Change>,
    state: Apart<Mutex<State>>,
}

/// What stands under the lock.
struct State {
    machine: Machine,
    news: News,
}

/// Where the calls of a stripe of threads come in: all that those need which succeed.
pub(super) struct Entrance {
    gate: Arc<Gate>,
    /// When calls read the clock; a [`Clock`].
    clock: AtomicU8,
    /// The parts of time that tell how old calls are, as a power of two of nanoseconds.
    part_log2: AtomicU8,
    /// From which time on calls are slow.
    longer_than: AtomicU64,
}

/// What a call keeps until it ends, where calls are timed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    /// When it began; 0 if nobody asked.
    at: Nanos,
    /// The parts of time by which its age is told.
    part_log2: u8,
}

/// A value on cache lines of its own.
#[repr(align(128))]
struct Apart<T>(T);

/// When calls read the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Clock {
    Never,
    AtTheEnd,
    AtBothEnds,
}

impl Breaker {
    /// Creates a closed breaker; fields of `policy` beyond their range are cut to it.
    pub fn new(name: impl Into<Arc<str>>, policy: BreakerPolicy) -> Self {
        Self::with_changes(name, policy, broadcast::Sender::new(CHANGES_MAX))
    }

    /// Creates a breaker that tells of its changes by `changes`.
    pub(super) fn with_changes(
        name: impl Into<Arc<str>>,
        policy: BreakerPolicy,
        changes: broadcast::Sender<Change>,
    ) -> Self {
        let (policy, gates) = (policy.cut(), Gates::new(count()));
        let machine = Machine::new(policy, &gates);
        let entrances: Vec<Entrance> =
            gates.iter().map(|gate| Entrance::new(Arc::clone(gate), &policy)).collect();
        let shared = Shared {
            name: name.into(),
            epoch: Instant::now(),
            gates,
            due: AtomicU64::new(machine.due()),
            changes,
            state: Apart(Mutex::new(State { machine, news: News::default() })),
        };
        Self { shared: Striped::with(shared, entrances.into_iter()) }
    }

    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Returns the phase that the breaker is in.
    pub fn phase(&self) -> Phase {
        self.shared.state.0.lock().machine.phase()
    }

    /// Returns what the breaker has seen since it was made.
    pub fn counts(&self) -> Counts {
        self.snapshot().counts
    }

    /// Returns how many calls are under way.
    pub fn in_flight(&self) -> usize {
        self.shared.held()
    }

    /// Returns name, phase and counts of one moment.
    pub fn snapshot(&self) -> Snapshot {
        let (phase, counts) =
            self.shared.ask(|machine, now, gates| ((machine.phase(), machine.counts(now, gates)), None));
        Snapshot { name: self.name().to_owned(), phase, in_flight: self.in_flight(), counts }
    }

    /// Returns a receiver of all changes from now on. One that lags behind by more than 64 changes is told how many
    /// it has missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    /// Changes the policy; fields beyond their range are cut to it. The phase stays, and so do the outcomes in the window
    /// where it is of the same kind: of calls, the last of them; of a time, where that is the same. Calls that are under
    /// way end as they would have, and count only where what is slow has not changed.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::breaker::{Breaker, BreakerPolicy, Phase};
    ///
    /// let breaker = Breaker::new("payment", BreakerPolicy::default());
    /// (0..5).for_each(|_| breaker.acquire(None).expect("it is closed").fail());
    /// breaker.set_policy(BreakerPolicy { calls_min: 6, ..BreakerPolicy::default() });
    /// breaker.acquire(None).expect("it is closed").fail();
    /// assert_eq!(breaker.phase(), Phase::Open, "six of six failed");
    /// ```
    pub fn set_policy(&self, policy: BreakerPolicy) {
        let policy = policy.cut();
        self.shared.ask(|machine, now, gates| {
            // IMPORTANT: Under the machine's lock, so that of two changes all stripes have the later.
            let mut is_timed_anew = false;
            for entrance in self.shared.locals() {
                is_timed_anew |= entrance.set(&policy);
            }
            ((), machine.set_policy(policy, is_timed_anew, now, gates))
        });
    }

    /// Opens the breaker by hand; it stays open until [`close`](Self::close).
    pub fn open(&self) {
        self.shared.ask(|machine, now, gates| ((), machine.hold_open(now, gates)));
    }

    /// Closes the breaker by hand and forgets the outcomes it has seen.
    pub fn close(&self) {
        self.shared.ask(|machine, now, gates| ((), machine.close(now, gates)));
    }

    /// Lets one call through. [`BreakerLayer`](super::BreakerLayer) does this for each call of a service; code that
    /// is no service calls it itself, with the deadline of the call.
    ///
    /// # Errors
    /// [`BreakerOpen`] when the call must not be made.
    #[inline]
    pub fn acquire(&self, deadline: Option<Deadline>) -> Result<Permit, BreakerOpen> {
        Self::acquire_by(self.shared.local(), deadline)
    }

    #[inline]
    fn acquire_by(
        breaker: &Arc<Stripe<Shared, Entrance>>,
        deadline: Option<Deadline>,
    ) -> Result<Permit, BreakerOpen> {
        let (generation, begun) = breaker.local.begin(breaker)?;
        Ok(Permit { breaker: Arc::clone(breaker), generation, begun, deadline, outcome: None })
    }

    /// Returns what the machine keeps; the successes at the gates are fetched first.
    #[cfg(test)]
    pub(super) fn fingerprint(&self) -> [u64; 6] {
        self.shared.ask(|machine, now, gates| (machine.fingerprint(now, gates), None))
    }

    /// Lets one call through as a thread of stripe `index` would.
    #[cfg(test)]
    pub(super) fn acquire_on(&self, index: usize, deadline: Option<Deadline>) -> Result<Permit, BreakerOpen> {
        Self::acquire_by(self.shared.stripe(index), deadline)
    }
}

impl Entrance {
    fn new(gate: Arc<Gate>, policy: &BreakerPolicy) -> Self {
        let (clock, part_log2, longer_than) = Self::timing(policy);
        Self {
            gate,
            clock: AtomicU8::new(clock as u8),
            part_log2: AtomicU8::new(part_log2),
            longer_than: AtomicU64::new(longer_than),
        }
    }

    fn timing(policy: &BreakerPolicy) -> (Clock, u8, Nanos) {
        let clock = match (policy.slow_calls, policy.window) {
            (Some(_), _) => Clock::AtBothEnds,
            (None, Window::Time(_)) => Clock::AtTheEnd,
            (None, Window::Calls(_)) => Clock::Never,
        };
        // At most 60, for there are 64 bits of nanoseconds.
        let part_log2 = policy.slow_calls.map_or(0, |slow| slow.part_log2() as u8);
        (clock, part_log2, policy.slow_calls.map_or(Nanos::MAX, |slow| nanos(slow.longer_than)))
    }

    /// Changes how calls are timed; says whether that is another way, so that those under way cannot be compared.
    fn set(&self, policy: &BreakerPolicy) -> bool {
        let (clock, part_log2, longer_than) = Self::timing(policy);
        let was_clock = self.clock.swap(clock as u8, Ordering::Relaxed);
        let was_part = self.part_log2.swap(part_log2, Ordering::Relaxed);
        self.longer_than.store(longer_than, Ordering::Relaxed);
        was_clock != clock as u8 || was_part != part_log2
    }

    fn clock_is(&self, clock: Clock) -> bool {
        self.clock.load(Ordering::Relaxed) == clock as u8
    }

    /// Begins a call: returns its generation, and when it began if anybody asks.
    #[inline]
    fn begin(&self, shared: &Shared) -> Result<(u64, Begun), BreakerOpen> {
        if self.clock_is(Clock::AtBothEnds) {
            return self.begin_timed(shared);
        }
        match self.gate.pass() {
            Some(generation) => Ok((generation, Begun::default())),
            None => Ok((shared.admit()?, Begun::default())),
        }
    }

    fn begin_timed(&self, shared: &Shared) -> Result<(u64, Begun), BreakerOpen> {
        let part_log2 = self.part_log2.load(Ordering::Relaxed);
        // Zero says that nobody asked.
        let now = shared.now().max(1);
        let generation = match self.gate.pass() {
            Some(generation) if now < shared.due.load(Ordering::Relaxed) => generation,
            _ => shared.admit()?,
        };
        let begun = Begun { at: now, part_log2 };
        self.gate.young.begin(generation, begun.part());
        Ok((generation, begun))
    }

    /// Ends a call.
    #[inline]
    pub(super) fn end(&self, shared: &Shared, generation: u64, begun: Begun, outcome: Outcome) {
        // A call that was timed must say that it has ended, whatever the policy is by now.
        if begun.at > 0 || !self.clock_is(Clock::Never) {
            return self.end_timed(shared, generation, begun, outcome);
        }
        if outcome != Outcome::Succeeded || !self.gate.succeed(generation) {
            shared.record(generation, outcome, false);
        }
    }

    fn end_timed(&self, shared: &Shared, generation: u64, begun: Begun, outcome: Outcome) {
        let now = shared.now();
        let is_due = now >= shared.due.load(Ordering::Relaxed);
        let mut is_slow = false;
        if begun.at > 0 {
            is_slow = now.saturating_sub(begun.at) > self.longer_than.load(Ordering::Relaxed);
            self.gate.young.end(generation, begun.part());
        }
        if outcome != Outcome::Succeeded || is_slow || is_due || !self.gate.succeed(generation) {
            shared.record(generation, outcome, is_slow);
        }
    }
}

impl Begun {
    fn part(self) -> u64 {
        self.at >> self.part_log2
    }
}

impl Shared {
    #[cold]
    fn admit(&self) -> Result<u64, BreakerOpen> {
        let admitted = self.ask(|machine, now, gates| machine.admit(now, gates));
        admitted.map_err(|retry_after| BreakerOpen { retry_after })
    }

    #[cold]
    fn record(&self, generation: u64, outcome: Outcome, is_slow: bool) {
        self.ask(|machine, now, gates| ((), machine.record(generation, outcome, is_slow, now, gates)));
    }

    /// Asks the machine, and tells of what has changed.
    fn ask<T>(&self, question: impl FnOnce(&mut Machine, Nanos, &Gates) -> (T, Option<Transition>)) -> T {
        let mut state = self.state.0.lock();
        // Read under the lock, so that time does not go back for the machine.
        let now = self.now();
        let (answer, transition) = question(&mut state.machine, now, &self.gates);
        self.due.store(state.machine.due(), Ordering::Relaxed);
        let is_teller = transition.is_some_and(|transition| state.news.add(transition));
        drop(state);
        if is_teller {
            self.tell_all();
        }
        answer
    }

    /// Tells of changes until there is none left.
    fn tell_all(&self) {
        let teller = Teller(&self.state.0);
        loop {
            let next = teller.0.lock().news.next();
            match next {
                Some(transition) => self.tell(transition),
                None => return std::mem::forget(teller),
            }
        }
    }

    fn tell(&self, Transition { from, to, cause }: Transition) {
        let (breaker, from_name, to_name) = (&*self.name, from.name(), to.name());
        match to {
            Phase::Open => tracing::warn!(breaker, from = from_name, to = to_name, %cause, "breaker opened"),
            Phase::HalfOpen => {
                tracing::info!(breaker, from = from_name, to = to_name, %cause, "breaker lets probes through");
            }
            Phase::Closed => {
                tracing::info!(breaker, from = from_name, to = to_name, %cause, "breaker closed");
            }
        }
        // Nobody may be listening.
        let _ = self.changes.send(Change { breaker: Arc::clone(&self.name), from, to, cause });
    }

    fn now(&self) -> Nanos {
        nanos(Instant::now().saturating_duration_since(self.epoch))
    }
}

/// Who tells of changes; dropped only when telling panics.
struct Teller<'a>(&'a Mutex<State>);

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        self.0.lock().news.relieve();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { name, phase, in_flight, counts } = self.snapshot();
        f.debug_struct("Breaker")
            .field("name", &name)
            .field("phase", &phase)
            .field("in_flight", &in_flight)
            .field("counts", &counts)
            .finish()
    }
}
