//! The handle that callers hold.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use steadfast_base::Budget;
use tokio::time::Instant;

use super::HedgePolicy;
use super::latencies::Latencies;

/// The hedging of the calls of one callee. Clones share the latencies and the budget.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_base::Budget;
/// use steadfast_guard::hedge::{Hedge, HedgePolicy};
///
/// // At most one call in twenty is made twice.
/// let hedge = Hedge::new("inventory", HedgePolicy::default(), Arc::new(Budget::new(0.05, 0)));
/// assert_eq!(hedge.snapshot().delay, None, "nothing is known of the callee yet");
/// ```
#[derive(Clone)]
pub struct Hedge {
    shared: Arc<Shared>,
}

/// The delay that says that no hedge is to be made.
const NEVER: u64 = u64::MAX;
/// After how many latencies the delay is computed again.
const REFRESH: u64 = 32;

struct Shared {
    name: Box<str>,
    budget: Arc<Budget>,
    measured: Mutex<Measured>,
    /// The delay in nanoseconds, so that calls need no lock to read it.
    delay: AtomicU64,
    calls: AtomicU64,
    hedged: AtomicU64,
    won: AtomicU64,
}

/// What is known of the callee, and what follows from it.
struct Measured {
    policy: HedgePolicy,
    latencies: Latencies,
}

/// What hedging looks like at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The name.
    pub name: String,
    /// After how long a second attempt is made; none while too little is known.
    pub delay: Option<Duration>,
    /// How many answers of idempotent calls were seen so far.
    pub answers: u64,
    /// How many second attempts were made so far.
    pub hedged: u64,
    /// How many of them came first.
    pub won: u64,
}

impl Hedge {
    /// Creates a handle that knows no latency yet; fields of `policy` beyond their range are cut to it. `budget` is
    /// what hedges are paid from.
    pub fn new(name: impl Into<Box<str>>, policy: HedgePolicy, budget: Arc<Budget>) -> Self {
        let policy = policy.cut();
        Self {
            shared: Arc::new(Shared {
                name: name.into(),
                budget,
                measured: Mutex::new(Measured {
                    policy,
                    latencies: Latencies::new(policy.window, Instant::now()),
                }),
                delay: AtomicU64::new(NEVER),
                calls: AtomicU64::new(0),
                hedged: AtomicU64::new(0),
                won: AtomicU64::new(0),
            }),
        }
    }

    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Changes the policy; fields beyond their range are cut to it. The latencies that are known stay.
    pub fn set_policy(&self, policy: HedgePolicy) {
        let policy = policy.cut();
        let mut measured = self.shared.measured.lock();
        measured.policy = policy;
        measured.latencies.set_window(policy.window);
        // Stored under the lock, so that of two changes the later stays.
        self.shared.delay.store(measured.delay(), Ordering::Relaxed);
    }

    /// Returns what it looks like now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.name().to_owned(),
            delay: self.delay(),
            answers: self.shared.calls.load(Ordering::Relaxed),
            hedged: self.shared.hedged.load(Ordering::Relaxed),
            won: self.shared.won.load(Ordering::Relaxed),
        }
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        let delay = self.shared.delay.load(Ordering::Relaxed);
        (delay != NEVER).then(|| Duration::from_nanos(delay))
    }

    /// A call that may be hedged begins: it earns its share.
    pub(super) fn begin(&self) {
        self.shared.budget.deposit();
    }

    /// Says whether a second attempt may be made, which is paid for then.
    pub(super) fn pay(&self) -> bool {
        let is_paid = self.shared.budget.withdraw();
        if is_paid {
            self.shared.hedged.fetch_add(1, Ordering::Relaxed);
        }
        is_paid
    }

    pub(super) fn won(&self) {
        self.shared.won.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of how long the first attempt took, or had taken when it was given up.
    pub(super) fn record(&self, latency: Duration) {
        let shared = &*self.shared;
        let calls = shared.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let mut measured = shared.measured.lock();
        measured.latencies.record(latency, Instant::now());
        let is_known = shared.delay.load(Ordering::Relaxed) != NEVER;
        if is_known == measured.has_enough() && !calls.is_multiple_of(REFRESH) {
            return;
        }
        shared.delay.store(measured.delay(), Ordering::Relaxed);
    }
}

impl Measured {
    fn has_enough(&self) -> bool {
        self.latencies.total() >= self.policy.samples_min
    }

    /// Returns the delay in nanoseconds that the latencies of late ask for.
    fn delay(&self) -> u64 {
        let HedgePolicy { percentile, delay_min, delay_max, .. } = self.policy;
        self.latencies.percentile(percentile).filter(|_| self.has_enough()).map_or(NEVER, |delay| {
            u64::try_from(delay.max(delay_min).min(delay_max).as_nanos()).unwrap_or(NEVER)
        })
    }
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
