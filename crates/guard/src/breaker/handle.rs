//! The breaker that callers hold.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use steadfast_base::Deadline;
use tokio::time::Instant;

use super::state::{Machine, Outcome, Transition};
use super::{BreakerPolicy, Counts, Permit, Phase};
use crate::Rejection;

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
    shared: Arc<Shared>,
}

struct Shared {
    name: Box<str>,
    machine: Mutex<Machine>,
}

/// What a breaker looks like at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The name of the breaker.
    pub name: String,
    /// The phase that it is in.
    pub phase: Phase,
    /// What it has seen.
    pub counts: Counts,
}

impl Breaker {
    /// Creates a closed breaker; fields of `policy` beyond their range are cut to it.
    pub fn new(name: impl Into<Box<str>>, policy: BreakerPolicy) -> Self {
        Self { shared: Arc::new(Shared { name: name.into(), machine: Mutex::new(Machine::new(policy)) }) }
    }

    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Returns the phase that the breaker is in.
    pub fn phase(&self) -> Phase {
        self.shared.machine.lock().phase()
    }

    /// Returns what the breaker has seen since it was made.
    pub fn counts(&self) -> Counts {
        self.shared.machine.lock().counts()
    }

    /// Returns name, phase and counts of one moment.
    pub fn snapshot(&self) -> Snapshot {
        let machine = self.shared.machine.lock();
        Snapshot { name: self.name().to_owned(), phase: machine.phase(), counts: machine.counts() }
    }

    /// Opens the breaker by hand; it stays open until [`close`](Self::close).
    pub fn open(&self) {
        let transition = self.shared.machine.lock().hold_open();
        self.tell(transition);
    }

    /// Closes the breaker by hand and forgets the outcomes it has seen.
    pub fn close(&self) {
        let transition = self.shared.machine.lock().close();
        self.tell(transition);
    }

    /// Lets one call through. [`BreakerLayer`](super::BreakerLayer) does this for each call of a service; code that
    /// is no service calls it itself, with the deadline of the call.
    ///
    /// # Errors
    /// [`Rejection::BreakerOpen`] when the call must not be made.
    pub fn acquire(&self, deadline: Option<Deadline>) -> Result<Permit, Rejection> {
        let (admitted, transition) = self.shared.machine.lock().admit(Instant::now);
        self.tell(transition);
        match admitted {
            Ok(generation) => Ok(Permit::new(self.clone(), generation, deadline)),
            Err(retry_after) => Err(Rejection::BreakerOpen { retry_after }),
        }
    }

    pub(super) fn record(&self, generation: u64, outcome: Outcome) {
        let transition = self.shared.machine.lock().record(generation, outcome, Instant::now);
        self.tell(transition);
    }

    fn tell(&self, transition: Option<Transition>) {
        let Some(Transition { from, to }) = transition else { return };
        let (breaker, from, name) = (self.name(), from.name(), to.name());
        match to {
            Phase::Open => tracing::warn!(breaker, from, to = name, "breaker opened"),
            Phase::HalfOpen => tracing::info!(breaker, from, to = name, "breaker lets probes through"),
            Phase::Closed => tracing::info!(breaker, from, to = name, "breaker closed"),
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { name, phase, counts } = self.snapshot();
        f.debug_struct("Breaker")
            .field("name", &name)
            .field("phase", &phase)
            .field("counts", &counts)
            .finish()
    }
}
