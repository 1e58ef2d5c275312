use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Illegal, Label, Machine};

/// Counts what was asked of the machines of one kind: by state and command, and whether the state allowed it.
///
/// Counting takes no lock. Clones share the counts.
///
/// # Examples
/// ```
/// use steadfast_core::machine::{Control, Lifecycle, Tally};
///
/// let workers = Tally::<Lifecycle>::new("worker");
/// let state = workers.next(Lifecycle::Initial, Control::Start).expect("it is allowed");
/// workers.next(state, Control::Start).expect_err("it runs already");
///
/// let counts = workers.probe().snapshot();
/// let texts: Vec<_> = counts.iter().map(|count| (count.state, count.command, count.is_allowed, count.times)).collect();
/// assert_eq!(texts, [("initial", "start", true, 1), ("running", "start", false, 1)]);
/// ```
pub struct Tally<M: Machine> {
    shared: Arc<Shared>,
    machine: PhantomData<fn() -> M>,
}

/// Shows what a [`Tally`] has counted, whatever its machine.
#[derive(Clone)]
pub struct Probe {
    shared: Arc<Shared>,
}

/// How often a command was asked of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// The state's label.
    pub state: &'static str,
    /// The command's label.
    pub command: &'static str,
    /// Whether the state allows it.
    pub is_allowed: bool,
    /// How often.
    pub times: u64,
}

struct Shared {
    name: String,
    /// Each pair of state and command, states first.
    pairs: Box<[(Count, AtomicU64)]>,
}

impl<M: Machine> Tally<M> {
    /// Makes one that has counted nothing; `name` says what the machines are of, such as `order`.
    pub fn new(name: impl Into<String>) -> Self {
        let of_state = |state: M| {
            <M::Command as Label>::ALL.iter().map(move |command| {
                let is_allowed = state.next(*command).is_ok();
                let count = Count { state: state.as_str(), command: command.as_str(), is_allowed, times: 0 };
                (count, AtomicU64::new(0))
            })
        };
        let pairs = M::ALL.iter().flat_map(|state| of_state(*state)).collect();
        Self { shared: Arc::new(Shared { name: name.into(), pairs }), machine: PhantomData }
    }

    /// Returns the state that `command` leads to from `state`, and counts that it was asked.
    ///
    /// # Errors
    /// `state` does not allow `command`.
    pub fn next(&self, state: M, command: M::Command) -> Result<M, Illegal<M>> {
        self.count(state, command);
        state.next(command)
    }

    /// Counts that `command` was asked of a machine in `state`, for those who ask the machine themselves.
    pub fn count(&self, state: M, command: M::Command) {
        let commands = <M::Command as Label>::ALL;
        let row = M::ALL.iter().position(|other| *other == state);
        let column = commands.iter().position(|other| *other == command);
        if let (Some(row), Some(column)) = (row, column) {
            self.shared.pairs[row * commands.len() + column].1.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns what shows the counts.
    pub fn probe(&self) -> Probe {
        Probe { shared: Arc::clone(&self.shared) }
    }
}

impl Probe {
    /// Returns what the machines are of.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Returns the pairs of state and command that were asked for, in the order in which they are declared.
    pub fn snapshot(&self) -> Vec<Count> {
        let counts = self
            .shared
            .pairs
            .iter()
            .map(|(count, times)| Count { times: times.load(Ordering::Relaxed), ..*count });
        counts.filter(|count| count.times > 0).collect()
    }
}

impl<M: Machine> Clone for Tally<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), machine: PhantomData }
    }
}

impl<M: Machine> fmt::Debug for Tally<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tally").field(&self.shared.name).finish()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").field(&self.shared.name).finish()
    }
}
