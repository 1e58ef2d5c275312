//! What a run tells whoever watches it, while it goes on.

use std::time::Duration;

/// Receives what happens during a run. Calls come from the run's own task and must return at once.
pub trait Progress: Send + Sync {
    /// Something happened; `at` is the time since the run's start.
    fn event(&self, at: Duration, event: &Event);

    /// The figures of the last second; called about four times a second while the load runs.
    fn snapshot(&self, snapshot: &Snapshot);
}

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A phase began.
    Phase {
        /// Its name.
        name: &'static str,
        /// What it is about to do, in words.
        doing: String,
        /// How long it will take, where that is known.
        length: Option<Duration>,
    },
    /// A fault is active from now on.
    FaultInjected {
        /// Its name.
        name: String,
        /// It in words.
        description: String,
    },
    /// A fault is gone, and that was verified.
    FaultUndone {
        /// Its name.
        name: String,
    },
    /// Something worth a line, such as a process that was started again.
    Note {
        /// It in words.
        text: String,
    },
    /// Something that speaks against PASS.
    Finding {
        /// It in one sentence.
        message: String,
    },
}

/// The state of a run at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The phase's name.
    pub phase: &'static str,
    /// Time since the load's start.
    pub elapsed: Duration,
    /// The load's whole length.
    pub length: Duration,
    /// Arrivals per second that the document asks for now.
    pub offered_per_second: f64,
    /// Arrivals per second that were dispatched in the last second.
    pub dispatched_per_second: f64,
    /// Figures of the last second, per step.
    pub steps: Vec<StepSnapshot>,
    /// Names of the faults that are active.
    pub faults: Vec<String>,
}

/// One step's figures over the last second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepSnapshot {
    /// The step's name.
    pub name: String,
    /// Commands that ended.
    pub ended: u64,
    /// Commands of those that failed.
    pub failed: u64,
    /// Median latency of those that succeeded, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of those that succeeded, in milliseconds.
    pub p99_ms: Option<f64>,
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _at: Duration, _event: &Event) {}

    fn snapshot(&self, _snapshot: &Snapshot) {}
}
