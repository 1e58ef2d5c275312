//! The handle that callers hold.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use steadfast_base::{Deadline, Priority, Seed};
use tokio::time::Instant;

use super::gradient::{Gradient, Sample};
use super::permit::ShedPermit;
use super::{Error, ShedPolicy};
use crate::Rejection;
use crate::gate::{Admit, Gate, Permit, Refusal};

/// The load shedding of one callee, or of one server. Clones share the limit and the queue.
///
/// # Examples
/// ```
/// use steadfast_base::Seed;
/// use steadfast_guard::shed::{Shed, ShedPolicy};
///
/// let shed = Shed::new("orders", ShedPolicy::default(), Seed::random());
/// assert_eq!(shed.snapshot().limit, 20);
/// ```
#[derive(Clone)]
pub struct Shed {
    shared: Arc<Shared>,
}

struct Shared {
    name: Box<str>,
    gate: Arc<Gate>,
    gradient: Mutex<Gradient>,
}

/// What load shedding looks like at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The name.
    pub name: String,
    /// The most calls at a time, for now.
    pub limit: u32,
    /// The latency without load; none before anything was measured.
    pub baseline: Option<Duration>,
    /// How many calls are under way.
    pub in_flight: u32,
    /// How many calls wait.
    pub queued: usize,
    /// How many calls were let in so far.
    pub admitted: u64,
    /// How many calls were shed so far, by [`Priority`], the one that matters least first.
    pub shed: [u64; Priority::ALL.len()],
}

impl Shed {
    /// Creates a handle with nothing under way; fields of `policy` beyond their range are cut to it. `seed` spreads
    /// the probes of many processes.
    pub fn new(name: impl Into<Box<str>>, policy: ShedPolicy, seed: Seed) -> Self {
        let policy = policy.cut();
        let gradient = Gradient::new(policy, Instant::now(), seed.stream("shed"));
        let gate = Gate::new(gradient.limit(), policy.rule());
        Self { shared: Arc::new(Shared { name: name.into(), gate, gradient: Mutex::new(gradient) }) }
    }

    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Changes the policy; fields beyond their range are cut to it. What was learned of the callee stays, the limit is
    /// cut to the new bounds, calls that are under way or wait stay.
    pub fn set_policy(&self, policy: ShedPolicy) {
        let policy = policy.cut();
        let mut gradient = self.shared.gradient.lock();
        gradient.set_policy(policy);
        // Set under the lock, as in `record`.
        let let_in = self.shared.gate.set_rule(policy.rule(), gradient.limit());
        drop(gradient);
        let_in.wake();
    }

    /// Returns what it looks like now.
    pub fn snapshot(&self) -> Snapshot {
        let figures = self.shared.gate.figures();
        Snapshot {
            name: self.name().to_owned(),
            limit: figures.limit,
            baseline: self.shared.gradient.lock().baseline(),
            in_flight: figures.in_flight,
            queued: figures.queued,
            admitted: figures.admitted,
            shed: figures.refused,
        }
    }

    /// Takes note of a call that ended, while it still has its room.
    pub(super) fn record(&self, started: Instant, is_success: bool) {
        let (in_flight, peak) = self.shared.gate.in_flight();
        let mut gradient = self.shared.gradient.lock();
        let before = gradient.limit();
        gradient.record(Sample { started, now: Instant::now(), is_success, in_flight, peak });
        let limit = gradient.limit();
        if limit != before {
            // Set under the lock, so that of two changes the later stays.
            let let_in = self.shared.gate.set_limit(limit);
            drop(gradient);
            let_in.wake();
            tracing::trace!(shed = self.name(), limit, before, "limit changed");
        }
    }
}

impl Admit for Shed {
    type Permit = ShedPermit;

    #[inline]
    fn gate(&self) -> &Arc<Gate> {
        &self.shared.gate
    }

    #[inline]
    fn admitted(&self, room: Permit, deadline: Option<Deadline>) -> ShedPermit {
        ShedPermit::new(self.clone(), room, deadline)
    }

    fn refused(&self, refusal: Refusal) -> Rejection {
        Rejection::Shed(match refusal {
            Refusal::Full => Error::Full,
            Refusal::Waited => Error::Waited,
        })
    }
}

impl fmt::Debug for Shed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
