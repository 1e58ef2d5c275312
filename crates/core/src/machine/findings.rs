use std::collections::HashSet;

use super::{Machine, Transition};

/// What in a machine's declaration can never matter.
///
/// # Examples
/// ```
/// use steadfast_core::machine::Findings;
///
/// steadfast_core::machine! {
///     enum Lamp {
///         Off => { Press => On },
///         On => { Press => Off },
///         Broken => { Mend => Off },
///     }
///     enum Hand { Press, Mend, Drop }
///     start: Off
/// }
///
/// let findings = Findings::<Lamp>::look();
/// assert_eq!(findings.unreachable, [Lamp::Broken]);
/// assert_eq!(findings.dead[0].to_string(), "broken --mend--> off");
/// assert_eq!(findings.unused, [Hand::Drop]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings<M: Machine> {
    /// States that nothing leads to.
    pub unreachable: Vec<M>,
    /// Transitions that never happen, for their state is never reached.
    pub dead: Vec<Transition<M>>,
    /// Commands that no state allows.
    pub unused: Vec<M::Command>,
}

impl<M: Machine> Findings<M> {
    /// Looks at the declaration of `M`.
    pub fn look() -> Self {
        let reached: HashSet<M> = M::ALL.iter().copied().filter(|state| state.path().is_some()).collect();
        let used: HashSet<M::Command> =
            M::TRANSITIONS.iter().map(|transition| transition.command).chain(M::BIRTH).collect();
        Self {
            unreachable: M::ALL.iter().copied().filter(|state| !reached.contains(state)).collect(),
            dead: M::TRANSITIONS.iter().copied().filter(|step| !reached.contains(&step.from)).collect(),
            unused: <M::Command as super::Label>::ALL
                .iter()
                .copied()
                .filter(|command| !used.contains(command))
                .collect(),
        }
    }

    /// Returns whether everything in the declaration can matter.
    pub fn is_empty(&self) -> bool {
        self.unreachable.is_empty() && self.dead.is_empty() && self.unused.is_empty()
    }
}
