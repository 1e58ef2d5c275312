use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steadfast_base::{Context, ContextMut, Deadline, TraceContext};

use super::ProcessManager;

/// How the steps of a process are done and undone: the clients of the services that it works with.
///
/// Both methods may be called several times with the same [key](Call::key), also at the same time and after a
/// restart: the callee must recognise it. A call that is not answered by its [deadline](Call) is dropped and
/// counts as [`StepError::Unknown`], so does one that panics.
pub trait Port<P: ProcessManager>: Send + Sync + 'static {
    /// Does a step.
    ///
    /// # Errors
    /// [`StepError::Refused`] only if the step was not done and will not be; [`StepError::NotSent`] only if nothing left
    /// for the callee in this attempt; in any doubt [`StepError::Unknown`].
    fn execute(&self, call: Call<P>) -> impl Future<Output = Result<P::Output, StepError>> + Send;

    /// Undoes the step that was done with the call's key.
    ///
    /// The step may not have been done, or a late repetition of it may still arrive: then the callee must remember
    /// the key and refuse it from now on.
    ///
    /// # Errors
    /// Any; the undo is repeated until it succeeds.
    fn undo(&self, call: Call<P>) -> impl Future<Output = Result<(), StepError>> + Send;
}

/// Why a step has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum StepError {
    /// It was not done and will not be: repeating cannot help.
    #[error("refused: {reason}")]
    Refused {
        /// Why, for the caller of the process.
        reason: String,
    },
    /// It may or may not have been done: no answer came, or none that tells. Repeating with the same key tells.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// What is known.
        reason: String,
    },
    /// Nothing left for the callee, so this attempt has not done it: a guard refused the call. Repeating may do it. A
    /// step that is given up is not undone if no attempt was sent.
    #[error("not sent: {reason}")]
    NotSent {
        /// Why, for the caller of the process.
        reason: String,
    },
}

impl StepError {
    /// Makes the error of a step that was not done and will not be.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    /// Makes the error of a step that may or may not have been done.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }

    /// Makes the error of a step of which nothing left for the callee.
    pub fn not_sent(reason: impl Into<String>) -> Self {
        Self::NotSent { reason: reason.into() }
    }
}

/// One attempt to do or undo a step. Layers read its deadline and key through [`Context`]; its operation is the
/// name of the process manager.
pub struct Call<P: ProcessManager> {
    pub(super) input: Arc<P::Input>,
    pub(super) step: P::Step,
    pub(super) output: Option<P::Output>,
    pub(super) name: Arc<str>,
    pub(super) key: Arc<str>,
    pub(super) attempt: u32,
    pub(super) deadline: Deadline,
    pub(super) trace: Option<TraceContext>,
}

impl<P: ProcessManager> Call<P> {
    /// Returns what the process was started with.
    pub fn input(&self) -> &P::Input {
        &self.input
    }

    /// Returns the step.
    pub fn step(&self) -> &P::Step {
        &self.step
    }

    /// Returns what the step to be undone returned; none when it is being done, or when that is unknown.
    pub fn output(&self) -> Option<&P::Output> {
        self.output.as_ref()
    }

    /// Returns the key of the step: the same in every repetition and for its undo, and no other step's.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns which attempt this is, counted from 1 since the process was started or resumed.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns until when an answer is waited for.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }
}

// Not derived, for the manager itself need not be cloned.
impl<P: ProcessManager> Clone for Call<P> {
    fn clone(&self) -> Self {
        Self {
            input: Arc::clone(&self.input),
            step: self.step.clone(),
            output: self.output.clone(),
            name: Arc::clone(&self.name),
            key: Arc::clone(&self.key),
            ..*self
        }
    }
}

impl<P: ProcessManager> std::fmt::Debug for Call<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("key", &self.key)
            .field("step", &self.step)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl<P: ProcessManager> Context for Call<P> {
    fn deadline(&self) -> Option<Deadline> {
        Some(self.deadline)
    }

    fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    fn key(&self) -> Option<&str> {
        Some(&self.key)
    }

    fn operation(&self) -> &str {
        &self.name
    }
}

impl<P: ProcessManager> ContextMut for Call<P> {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }
}
