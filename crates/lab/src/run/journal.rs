//! What happened when, kept for the report and told to whoever watches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::verdict::finding;
use super::{Event, Progress, Snapshot};
use crate::report::{Finding, Outcome, PhaseSpan, TimelineEntry};

/// The journal of one run; clones share it.
#[derive(Clone)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    progress: Arc<dyn Progress>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    phases: Vec<PhaseSpan>,
    timeline: Vec<TimelineEntry>,
    findings: Vec<Finding>,
}

/// Most entries of the timeline that are kept; what follows is counted nowhere, but findings are never dropped.
const TIMELINE_MAX: usize = 10_000;

impl Journal {
    pub(crate) fn new(progress: Arc<dyn Progress>) -> Self {
        Self { shared: Arc::new(Shared { start: Instant::now(), progress, inner: Mutex::default() }) }
    }

    /// Returns the moment from which the journal counts.
    pub(crate) fn start(&self) -> Instant {
        self.shared.start
    }

    /// Returns the time since the run's start.
    pub(crate) fn at(&self) -> Duration {
        self.shared.start.elapsed()
    }

    pub(crate) fn at_ms(&self) -> u64 {
        self.at().as_millis() as u64
    }

    /// Ends the phase that is under way and begins the next.
    pub(crate) fn phase(&self, name: &'static str, doing: impl Into<String>, length: Option<Duration>) {
        let at = self.at_ms();
        {
            let mut inner = self.shared.inner.lock();
            if let Some(last) = inner.phases.last_mut() {
                last.to_ms = at;
            }
            inner.phases.push(PhaseSpan { name: name.to_owned(), from_ms: at, to_ms: at });
        }
        self.tell(&Event::Phase { name, doing: doing.into(), length });
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.tell(&Event::Note { text: text.into() });
    }

    pub(crate) fn finding(&self, outcome: Outcome, code: &str, message: impl Into<String>) {
        self.take(finding(outcome, code, message));
    }

    /// Takes a finding that was made elsewhere.
    pub(crate) fn take(&self, finding: Finding) {
        let message = finding.message.clone();
        self.shared.inner.lock().findings.push(finding);
        self.tell(&Event::Finding { message });
    }

    pub(crate) fn tell(&self, event: &Event) {
        let at = self.at();
        let what = in_words(event);
        {
            let mut inner = self.shared.inner.lock();
            if inner.timeline.len() < TIMELINE_MAX {
                inner.timeline.push(TimelineEntry { at_ms: at.as_millis() as u64, what });
            }
        }
        self.shared.progress.event(at, event);
    }

    pub(crate) fn snapshot(&self, snapshot: &Snapshot) {
        self.shared.progress.snapshot(snapshot);
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.shared.inner.lock().findings.clone()
    }

    /// Ends the last phase and returns phases and timeline.
    pub(crate) fn finish(&self) -> (Vec<PhaseSpan>, Vec<TimelineEntry>) {
        let at = self.at_ms();
        let mut inner = self.shared.inner.lock();
        if let Some(last) = inner.phases.last_mut() {
            last.to_ms = at;
        }
        (inner.phases.clone(), inner.timeline.clone())
    }
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Phase { name, doing, .. } => format!("phase {name}: {doing}"),
        Event::FaultInjected { name, description } => format!("fault {name} injected: {description}"),
        Event::FaultUndone { name } => format!("fault {name} undone, verified"),
        Event::Note { text } => text.clone(),
        Event::Finding { message } => format!("finding: {message}"),
    }
}
