use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a fault did: the evidence that it was delivered as declared.
///
/// A call is counted when its verdict is drawn, so the numbers may still grow by the calls in flight when a
/// lease of the kind `runtime` ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Dose {
    /// The calls that matched the fault, whether or not they were in its share; for `runtime` all calls.
    pub seen: u64,
    /// The calls to which something was done. For `runtime`: those in flight during a stall of all workers, and
    /// those that arrived within 10 ms after it, nearly all of which had waited for it in their sockets. A process
    /// that is slow after a stall does not count them all.
    pub affected: u64,
    /// The calls that were made late.
    pub delayed: u64,
    /// The milliseconds by which they were made late, together, as drawn.
    pub delayed_ms: u64,
    /// The calls that were answered instead of by the service.
    pub failed: u64,
    /// The stalls in which all workers were held at the same time.
    pub stalls: u64,
    /// The milliseconds for which all workers were held at the same time, together.
    pub stalled_ms: u64,
    /// The stalls given up because some worker did not arrive, as one that was busy or a runtime shut down.
    pub stalls_missed: u64,
    /// The milliseconds for which each worker was held, in the order in which they were first held.
    pub stalled_ms_by_worker: Vec<u64>,
}

/// The counters behind a [`Dose`], written by the calls themselves.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    seen: AtomicU64,
    affected: AtomicU64,
    delayed: AtomicU64,
    delayed_us: AtomicU64,
    failed: AtomicU64,
}

impl Meter {
    /// Counts a matching call and returns its number, from 0.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn affected(&self) {
        self.affected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delayed(&self, delay: Duration) {
        self.delayed.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.delayed_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads the counters; what concerns stalls is left empty.
    pub(crate) fn read(&self) -> Dose {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Dose {
            // A call counts as seen before it counts as affected, so `seen` is read last.
            affected: read(&self.affected),
            delayed: read(&self.delayed),
            delayed_ms: read(&self.delayed_us) / 1000,
            failed: read(&self.failed),
            seen: read(&self.seen),
            ..Dose::default()
        }
    }
}
