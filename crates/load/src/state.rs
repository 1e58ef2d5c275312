//! What all threads of one run share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use steadfast_base::Seed;

use crate::compile::Scenario;
use crate::{Arrival, ON_SCHEDULE_TOLERANCE, Recorder, RetryPolicy, Summary, Targets};

pub(crate) struct Run {
    pub(crate) scenario: Scenario,
    pub(crate) retry: RetryPolicy,
    pub(crate) seed: Seed,
    pub(crate) targets: Targets,
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) start: Instant,
    pub(crate) counters: Counters,
    /// Set when the run was cancelled: no arrival, no further step and no repetition starts.
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    scheduled: AtomicU64,
    dispatched: AtomicU64,
    on_schedule: AtomicU64,
    lateness_max_nanos: AtomicU64,
    abandoned: AtomicU64,
    uncaptured: AtomicU64,
}

impl Run {
    pub(crate) fn new(
        scenario: Scenario,
        plan: &crate::Plan,
        targets: Targets,
        recorder: Arc<dyn Recorder>,
        start: Instant,
    ) -> Self {
        Self {
            scenario,
            retry: plan.retry.clone(),
            seed: plan.seed.derive("arrival"),
            targets,
            recorder,
            start,
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Returns the time since the start, zero before it.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Counts an arrival and tells the recorder of it.
    pub(crate) fn tell(&self, arrival: Arrival) {
        if let Some(dispatched) = arrival.dispatched {
            let lateness = dispatched.saturating_sub(arrival.intended);
            let nanos = u64::try_from(lateness.as_nanos()).unwrap_or(u64::MAX);
            self.counters.dispatched.fetch_add(1, Ordering::Relaxed);
            self.counters.lateness_max_nanos.fetch_max(nanos, Ordering::Relaxed);
            if lateness <= ON_SCHEDULE_TOLERANCE {
                self.counters.on_schedule.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.recorder.arrival(arrival);
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn summary(&self) -> Summary {
        let get = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Summary {
            start: self.start,
            scheduled: get(&self.counters.scheduled),
            dispatched: get(&self.counters.dispatched),
            on_schedule: get(&self.counters.on_schedule),
            lateness_max: Duration::from_nanos(get(&self.counters.lateness_max_nanos)),
            abandoned: get(&self.counters.abandoned),
            uncaptured: get(&self.counters.uncaptured),
            cancelled: self.is_stopping(),
            elapsed: self.elapsed(),
        }
    }
}

impl Counters {
    pub(crate) fn scheduled(&self) {
        self.scheduled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn uncaptured(&self) {
        self.uncaptured.fetch_add(1, Ordering::Relaxed);
    }
}
