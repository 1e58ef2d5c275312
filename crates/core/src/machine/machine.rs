use std::collections::{HashMap, VecDeque};

use super::{Illegal, Label, diagram};

/// States, and the commands that lead from one to another; made by [`machine!`](crate::machine!).
pub trait Machine: Label {
    /// What can be asked.
    type Command: Label;

    /// The state in which it starts.
    const START: Self;
    /// The command that brings it into being, if it is not there from the beginning.
    const BIRTH: Option<Self::Command>;
    /// All transitions, in the order in which they are declared.
    const TRANSITIONS: &'static [Transition<Self>];

    /// Returns the state that `command` leads to.
    ///
    /// # Errors
    /// This state does not allow `command`.
    fn next(self, command: Self::Command) -> Result<Self, Illegal<Self>>;

    /// Returns the commands that this state allows, in the order in which they are declared.
    fn allowed(self) -> &'static [Self::Command];

    /// Returns whether this state allows nothing any more.
    fn is_end(self) -> bool {
        self.allowed().is_empty()
    }

    /// Returns the shortest way from the start to this state; none if there is no way.
    fn path(self) -> Option<Vec<Transition<Self>>> {
        let mut arrived_by: HashMap<Self, Option<Transition<Self>>> = HashMap::from([(Self::START, None)]);
        let mut frontier = VecDeque::from([Self::START]);
        while let Some(from) = frontier.pop_front() {
            for transition in Self::TRANSITIONS.iter().filter(|transition| transition.from == from) {
                arrived_by.entry(transition.to).or_insert_with(|| {
                    frontier.push_back(transition.to);
                    Some(*transition)
                });
            }
        }
        let mut path = Vec::new();
        let mut state = self;
        while let Some(transition) = arrived_by.get(&state)? {
            path.push(*transition);
            state = transition.from;
        }
        path.reverse();
        Some(path)
    }

    /// Returns the machine as a `stateDiagram-v2` of Mermaid, which GitHub and many others draw.
    fn diagram() -> String {
        diagram::mermaid::<Self>()
    }
}

/// One step of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transition<M: Machine> {
    /// The state before.
    pub from: M,
    /// What was asked.
    pub command: M::Command,
    /// The state after.
    pub to: M,
}

impl<M: Machine> std::fmt::Display for Transition<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} --{}--> {}", self.from, self.command, self.to)
    }
}
