use std::any::type_name;

use crate::machine::{Label, Machine};

/// Checks every pair of state and command of a machine against `table`: each of its rows is a transition, and
/// whatever it does not name is refused. Returns the number of pairs.
///
/// # Panics
/// A pair differs, or the table has a pair twice: the test fails and names all of them.
///
/// # Examples
/// ```
/// use steadfast_core::machine::{Control, Lifecycle};
/// use Lifecycle::{Initial, Paused, Running, Terminated};
///
/// let pairs = steadfast_core::testing::assert_table([
///     (Initial, Control::Start, Running),
///     (Running, Control::Pause, Paused),
///     (Running, Control::Terminate, Terminated),
///     (Paused, Control::Resume, Running),
///     (Paused, Control::Terminate, Terminated),
/// ]);
/// assert_eq!(pairs, 16);
/// ```
#[track_caller]
pub fn assert_table<M: Machine>(table: impl IntoIterator<Item = (M, M::Command, M)>) -> usize {
    let table: Vec<_> = table.into_iter().collect();
    for (row, (from, command, _)) in table.iter().enumerate() {
        let before = table[..row].iter().any(|(state, asked, _)| (state, asked) == (from, command));
        assert!(!before, "the table has `{command}` in `{from}` twice");
    }
    assert_every_pair(|from: M, command| {
        let row = table.iter().find(|(state, asked, _)| (*state, *asked) == (from, command));
        row.map(|(_, _, to)| *to)
    })
}

/// Checks every pair of state and command of a machine against a decision of your own: the state that `decide` says
/// the command leads to, or none if it refuses. Returns the number of pairs.
///
/// # Panics
/// A pair differs: the test fails and names all that do.
///
/// # Examples
/// ```
/// use steadfast_core::machine::{Control, Lifecycle};
///
/// /// Written by hand elsewhere, and to agree.
/// fn decide(state: Lifecycle, command: Control) -> Option<Lifecycle> {
///     match (state, command) {
///         (Lifecycle::Initial, Control::Start) | (Lifecycle::Paused, Control::Resume) => Some(Lifecycle::Running),
///         (Lifecycle::Running, Control::Pause) => Some(Lifecycle::Paused),
///         (Lifecycle::Running | Lifecycle::Paused, Control::Terminate) => Some(Lifecycle::Terminated),
///         _ => None,
///     }
/// }
///
/// steadfast_core::testing::assert_every_pair(decide);
/// ```
#[track_caller]
pub fn assert_every_pair<M: Machine>(mut decide: impl FnMut(M, M::Command) -> Option<M>) -> usize {
    let mut pairs = 0;
    let mut differences = Vec::new();
    for from in M::ALL {
        for command in <M::Command as Label>::ALL {
            pairs += 1;
            let (declared, decided) = (from.next(*command).ok(), decide(*from, *command));
            if declared != decided {
                differences.push(difference(Some(*from), *command, declared, decided));
            }
        }
    }
    report::<M>(&differences);
    pairs
}

/// Says in which pair a machine and a decision differ.
pub(super) fn difference<M: Machine>(
    from: Option<M>,
    command: M::Command,
    declared: Option<M>,
    decided: Option<M>,
) -> String {
    let outcome = |to: Option<M>| to.map_or("refused".to_owned(), |to| format!("`{to}`"));
    let from = from.map_or("nothing".to_owned(), |from| format!("`{from}`"));
    format!("`{command}` in {from} is declared {}, but is {}", outcome(declared), outcome(decided))
}

#[track_caller]
pub(super) fn report<M: Machine>(differences: &[String]) {
    assert!(differences.is_empty(), "{} differs:\n  {}", type_name::<M>(), differences.join("\n  "));
}
