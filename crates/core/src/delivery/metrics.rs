use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What a dispatcher has done and has in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HandlingMetrics {
    /// How many handlers are at work.
    pub in_flight: usize,
    /// How many messages are drawn and not settled, those in flight included.
    pub in_hand: usize,
    /// How many messages were handled.
    pub handled: u64,
    /// How many attempts were repetitions.
    pub retries: u64,
    /// How many attempts failed.
    pub failures: u64,
    /// How many messages became dead letters.
    pub dead: u64,
    /// How many messages were parked behind a dead letter of their key.
    pub parked: u64,
    /// How many dead and parked letters were replayed and handled.
    pub replayed: u64,
    /// How long the oldest handler that is at work has been at it.
    pub oldest_in_flight: Option<Duration>,
    /// How long all handlers together have worked.
    pub time_in_handler: Duration,
}

/// What is counted. Each count has one writer at a time: whoever holds the turn or the lock of the dispatcher.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) handled: Counter,
    pub(super) retries: Counter,
    pub(super) failures: Counter,
    pub(super) dead: Counter,
    pub(super) parked: Counter,
    pub(super) replayed: Counter,
    pub(super) in_hand: Counter,
    pub(super) handler_ns: Counter,
    /// When the handler at work began, in nanoseconds since `Counters` was made plus 1; 0 when none is.
    pub(super) since: Counter,
}

/// A number with one writer at a time and any number of readers, so that adding takes no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(super) fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    #[inline]
    pub(super) fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn snapshot(&self, born: Instant) -> HandlingMetrics {
        let since = self.since.get();
        let oldest = since.checked_sub(1).map(|since| {
            Instant::now().saturating_duration_since(born).saturating_sub(Duration::from_nanos(since))
        });
        HandlingMetrics {
            in_flight: usize::from(oldest.is_some()),
            in_hand: self.in_hand.get() as usize,
            handled: self.handled.get(),
            retries: self.retries.get(),
            failures: self.failures.get(),
            dead: self.dead.get(),
            parked: self.parked.get(),
            replayed: self.replayed.get(),
            oldest_in_flight: oldest,
            time_in_handler: Duration::from_nanos(self.handler_ns.get()),
        }
    }
}
