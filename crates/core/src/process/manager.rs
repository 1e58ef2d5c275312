use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast_base::TraceContext;

/// The pure decision which step a process takes next.
///
/// Steps run one after the other. The decision may depend on nothing but its arguments: after a crash it is made
/// again from what was recorded, and must come to the same step.
pub trait ProcessManager: Send + Sync + 'static {
    /// What the process is about, given when it is started and stored with its first event.
    type Input: Serialize + DeserializeOwned + Send + Sync;
    /// What can be done and undone.
    type Step: Serialize + DeserializeOwned + Debug + Clone + Send + Sync;
    /// What a step returns, stored with its outcome; `()` if nothing is of interest.
    type Output: Serialize + DeserializeOwned + Debug + Clone + Send + Sync;

    /// Returns the name of this kind of process: it begins the names of streams, types of events and keys, so it
    /// may never change.
    fn name(&self) -> &str;

    /// Decides what comes next, from what started the process and the steps done so far, oldest first.
    fn react(&self, input: &Self::Input, done: &[Done<Self::Step, Self::Output>]) -> Next<Self::Step>;

    /// Returns the trace that the process belongs to, if its input says: its events and calls carry it.
    fn trace(&self, input: &Self::Input) -> Option<TraceContext> {
        let _ = input;
        None
    }
}

/// What a process does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<S> {
    /// Do this step.
    Do(S),
    /// Nothing: the process has done all it wanted.
    Complete,
    /// Undo all steps done: what they returned makes going on pointless.
    Compensate {
        /// Why.
        reason: String,
    },
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done<S, O> {
    /// The step.
    pub step: S,
    /// What it returned.
    pub output: O,
}
