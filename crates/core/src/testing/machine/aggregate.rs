use std::fmt::Debug;

use super::pairs::{difference, report};
use crate::Aggregate;
use crate::machine::{Label, Machine};

/// Checks that an aggregate decides every pair of state and command as its machine declares: brings one to each state
/// by the shortest way, and gives it each command there. Where a command brings the aggregate into being, one that
/// does not exist yet is tried too. Returns the number of pairs.
///
/// `state` tells the state of an aggregate, none before it exists; `command` makes a command that has the data it
/// needs to succeed.
///
/// # Panics
/// A pair differs, or a state cannot be reached: the test fails.
///
/// # Examples
/// ```
/// use steadfast_core::Aggregate;
/// use steadfast_core::machine::{Control, Illegal, Lifecycle, Machine};
///
/// struct Job { state: Lifecycle, starts: u32 }
///
/// impl Default for Job {
///     fn default() -> Self {
///         Self { state: Lifecycle::START, starts: 0 }
///     }
/// }
///
/// impl Aggregate for Job {
///     type Command = Control;
///     type Event = Lifecycle;
///     type Error = Illegal<Lifecycle>;
///
///     fn decide(&self, command: &Control) -> Result<Vec<Lifecycle>, Self::Error> {
///         Ok(vec![self.state.next(*command)?])
///     }
///
///     fn evolve(&mut self, state: &Lifecycle) {
///         self.state = *state;
///         self.starts += u32::from(*state == Lifecycle::Running);
///     }
/// }
///
/// steadfast_core::testing::assert_aggregate(|job: &Job| Some(job.state), |command| command);
/// ```
#[track_caller]
pub fn assert_aggregate<A, M>(
    state: impl Fn(&A) -> Option<M>,
    command: impl Fn(M::Command) -> A::Command,
) -> usize
where
    A: Aggregate<Error: Debug>,
    M: Machine,
{
    let begin = || match M::BIRTH {
        Some(birth) => after::<A>([command(birth)]),
        None => A::default(),
    };
    let mut pairs = 0;
    let mut differences = Vec::new();
    let mut check = |from: Option<M>, aggregate: &dyn Fn() -> A| {
        assert_eq!(state(&aggregate()), from, "the aggregate is in another state than its machine");
        for asked in <M::Command as Label>::ALL {
            pairs += 1;
            let declared = match from {
                Some(from) => from.next(*asked).ok(),
                None => (M::BIRTH == Some(*asked)).then_some(M::START),
            };
            let mut aggregate = aggregate();
            let decided = aggregate.decide(&command(*asked)).ok().and_then(|events| {
                events.iter().for_each(|event| aggregate.evolve(event));
                state(&aggregate)
            });
            if declared != decided {
                differences.push(difference(from, *asked, declared, decided));
            }
        }
    };
    if M::BIRTH.is_some() {
        check(None, &A::default);
    }
    for from in M::ALL {
        let path = from.path().unwrap_or_else(|| panic!("nothing leads to `{from}`"));
        check(Some(*from), &|| {
            let mut aggregate = begin();
            follow(&mut aggregate, path.iter().map(|step| command(step.command)));
            aggregate
        });
    }
    report::<M>(&differences);
    pairs
}

fn after<A: Aggregate<Error: Debug>>(commands: impl IntoIterator<Item = A::Command>) -> A {
    let mut aggregate = A::default();
    follow(&mut aggregate, commands);
    aggregate
}

fn follow<A: Aggregate<Error: Debug>>(aggregate: &mut A, commands: impl IntoIterator<Item = A::Command>) {
    for command in commands {
        let events = aggregate.decide(&command).expect("a declared transition on the way is not refused");
        events.iter().for_each(|event| aggregate.evolve(event));
    }
}
