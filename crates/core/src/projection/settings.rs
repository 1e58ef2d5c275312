use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Backoff, Clock, Seed, SystemClock};

use super::Poison;
use crate::store::Filter;

/// How a projection works.
#[derive(Clone)]
pub struct Settings {
    /// Which events make the view.
    pub filter: Filter,
    /// How many events are applied at once at most; 0 counts as 1.
    pub batch_max: usize,
    /// How many bytes of events are applied at once: the one that makes them as many is the last of its batch. As many are
    /// in memory, and what the store reads ahead.
    pub batch_bytes_max: usize,
    /// How often an event, or the view's place, is tried while trying again can help; 0 counts as 1.
    pub attempts_max: u32,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// What the jitter of the waits is drawn from.
    pub seed: Seed,
    /// How long applying a batch may take before it counts as failed.
    pub apply_timeout: Duration,
    /// What is done with an event that cannot be applied.
    pub poison: Poison,
    /// The wall clock by which lag is told.
    pub clock: Arc<dyn Clock>,
    /// How often a run looks how far the view is behind, for its metrics; less than 1 ms counts as 1 ms. Each look asks the
    /// view where it stands and the store for its head, and for the next event where there is one.
    pub lag_every: Duration,
}

impl Default for Settings {
    /// All events, 256 or 4 MiB at once, ten attempts, 30 s, stops at an event that cannot be applied, looks every second
    /// how far it is behind.
    fn default() -> Self {
        Self {
            filter: Filter::all(),
            batch_max: 256,
            batch_bytes_max: 4 << 20,
            attempts_max: 10,
            backoff: Backoff::default(),
            seed: Seed::random(),
            apply_timeout: Duration::from_secs(30),
            poison: Poison::Stop,
            clock: Arc::new(SystemClock),
            lag_every: Duration::from_secs(1),
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("filter", &self.filter)
            .field("batch_max", &self.batch_max)
            .field("batch_bytes_max", &self.batch_bytes_max)
            .field("attempts_max", &self.attempts_max)
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}
