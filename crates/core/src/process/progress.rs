//! The pure core: what is recorded of a process, and what follows from it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Done, Ended, Next, ProcessManager, StepError};

/// One entry in the stream of a process.
#[derive(Serialize, Deserialize)]
#[serde(bound = "", rename_all = "camelCase")]
pub(super) enum Record<P: ProcessManager> {
    /// The process began.
    Started { input: Arc<P::Input> },
    /// The next step was done.
    Done { step: P::Step, output: P::Output },
    /// A driver goes on with what it has not recorded itself: whoever did may be at the next step too, and meets this
    /// record when it records.
    Resumed,
    /// No further step will be done; `unknown` is a step that was given up and may have been done.
    Failed { cause: StepError, unknown: Option<P::Step> },
    /// The newest step that was not undone yet was undone.
    Undone,
    /// All steps are done.
    Completed,
    /// All steps are undone.
    Compensated,
}

impl<P: ProcessManager> Record<P> {
    pub(super) const STARTED: &str = "started";
    pub(super) const ENDS: [&str; 2] = ["completed", "compensated"];

    /// Returns the last part of the type of the record's event.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => Self::STARTED,
            Self::Done { .. } => "step-done",
            Self::Resumed => "resumed",
            Self::Failed { .. } => "failed",
            Self::Undone => "step-undone",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
        }
    }

    /// Says whether it is true of its step whoever else has attempted it.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::Failed { cause, .. } => !matches!(cause, StepError::NotSent { .. }),
            _ => false,
        }
    }
}

/// The state of a process, as its records have made it.
pub(super) struct Progress<P: ProcessManager> {
    input: Option<Arc<P::Input>>,
    done: Vec<Done<P::Step, P::Output>>,
    failed: Option<StepError>,
    /// What is to be undone, newest last, with its number.
    to_undo: Vec<Undo<P>>,
    ended: bool,
}

pub(super) struct Undo<P: ProcessManager> {
    pub(super) number: usize,
    pub(super) step: P::Step,
    pub(super) output: Option<P::Output>,
}

/// What the driver must do.
pub(super) enum Task<P: ProcessManager> {
    Execute {
        number: usize,
        step: P::Step,
    },
    Undo(Undo<P>),
    /// Nothing but to record this.
    Record(Record<P>),
    /// Nothing at all.
    Rest(Ended<P>),
}

impl<P: ProcessManager> Progress<P> {
    pub(super) fn new() -> Self {
        Self { input: None, done: Vec::new(), failed: None, to_undo: Vec::new(), ended: false }
    }

    pub(super) fn input(&self) -> Option<&Arc<P::Input>> {
        self.input.as_ref()
    }

    /// Returns how many steps are done.
    pub(super) fn done(&self) -> usize {
        self.done.len()
    }

    /// Says whether step `number` is what must be done next.
    pub(super) fn is_at(&self, number: usize) -> bool {
        self.failed.is_none() && !self.ended && self.done.len() == number
    }

    /// Decides what must be done next; none before the process has begun.
    pub(super) fn react(&self, manager: &P) -> Option<Task<P>> {
        let input = self.input.as_deref()?;
        Some(match &self.failed {
            Some(cause) if self.ended => Task::Rest(Ended::Compensated(cause.clone())),
            Some(_) => match self.to_undo.last() {
                Some(undo) => Task::Undo(undo.clone()),
                None => Task::Record(Record::Compensated),
            },
            None if self.ended => Task::Rest(Ended::Completed(self.done.clone())),
            None => match manager.react(input, &self.done) {
                Next::Do(step) => Task::Execute { number: self.done.len(), step },
                Next::Complete => Task::Record(Record::Completed),
                Next::Compensate { reason } => {
                    Task::Record(Record::Failed { cause: StepError::Refused { reason }, unknown: None })
                }
            },
        })
    }

    pub(super) fn evolve(&mut self, record: Record<P>) {
        match record {
            Record::Started { input } => self.input = Some(input),
            Record::Done { step, output } => self.done.push(Done { step, output }),
            Record::Resumed => {}
            Record::Failed { cause, unknown } => {
                let done = self.done.iter().map(|done| (done.step.clone(), Some(done.output.clone())));
                let steps = done.chain(unknown.map(|step| (step, None)));
                let undo = |(number, (step, output))| Undo { number, step, output };
                self.to_undo = steps.enumerate().map(undo).collect();
                self.failed = Some(cause);
            }
            Record::Undone => {
                self.to_undo.pop();
            }
            Record::Completed | Record::Compensated => self.ended = true,
        }
    }
}

impl<P: ProcessManager> Clone for Undo<P> {
    fn clone(&self) -> Self {
        Self { number: self.number, step: self.step.clone(), output: self.output.clone() }
    }
}
