//! What a fault did.

use std::time::{Duration, Instant};

/// How much of a fault was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dose {
    /// What the target itself counted, over all leases of the fault. If the target died meanwhile, the calls since
    /// the last look, at most half a second, are missing.
    Calls(steadfast_fault::Dose),
    /// Kills.
    Kills {
        /// How often the target was killed.
        kills: u32,
        /// For how long it was not ready, together.
        down: Duration,
    },
    /// Stopped processes.
    Paused {
        /// How many processes were stopped.
        processes: usize,
        /// For how long they were, as seen in `/proc`.
        paused: Duration,
    },
}

/// A span of time in which a fault was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from: Instant,
    /// Its end, none while it lasts.
    pub to: Option<Instant>,
}

impl Span {
    pub(super) fn since(from: Instant) -> Self {
        Self { from, to: None }
    }

    /// Returns how long it lasted, or has lasted.
    pub fn duration(&self) -> Duration {
        self.to.unwrap_or_else(Instant::now).saturating_duration_since(self.from)
    }
}

/// What is known of a fault at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// How much was delivered so far.
    pub dose: Dose,
    /// When it was in force.
    pub spans: Vec<Span>,
}

/// Ends the last span at `now` if it lasts.
pub(super) fn end_span(spans: &mut [Span], now: Instant) {
    if let Some(span) = spans.last_mut() {
        span.to.get_or_insert(now);
    }
}
