//! Random commands, given to an aggregate and to a model of it.

use std::any::Any;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use steadfast_base::{Rng, Seed};

use crate::Aggregate;

/// How many sequences of commands are tried, and how long the longest is.
const SEQUENCES: u64 = 200;
const COMMANDS_MAX: u64 = 40;

/// What an aggregate should be, as plainly as can be: something to compare it with.
pub trait Model<A: Aggregate>: Default {
    /// Draws the next command; by its state the model can prefer what leads somewhere.
    fn draw(&self, rng: &mut Rng) -> A::Command;

    /// Carries out `command` in the model, and compares with it what the aggregate `decided` and how it stands `now`, after
    /// that.
    ///
    /// # Errors
    /// What differs.
    fn check(
        &mut self,
        command: &A::Command,
        decided: &Result<Vec<A::Event>, A::Error>,
        now: &A,
    ) -> Result<(), String>;
}

/// Gives random commands to an aggregate `A` and its model `M`, in 200 sequences of up to 40, and compares the two after each
/// command.
///
/// Where they differ, or the aggregate or the model panics, it looks for a sequence that is as short as can be had by leaving
/// out commands, and prints it with the seed, which draws the same again. The aggregate must decide on any command in any
/// state, for it gets what is left.
///
/// # Examples
/// ```
/// use steadfast_base::{Rng, Seed};
/// use steadfast_core::Aggregate;
/// use steadfast_core::testing::{Model, random_commands};
///
/// #[derive(Default)]
/// struct Account { cents: u64 }
/// #[derive(Debug)]
/// enum Command { Deposit(u64), Withdraw(u64) }
/// #[derive(Debug)]
/// enum Event { Deposited(u64), Withdrawn(u64) }
/// #[derive(Debug)]
/// struct TooLittle;
///
/// impl Aggregate for Account {
///     type Command = Command;
///     type Event = Event;
///     type Error = TooLittle;
///     fn decide(&self, command: &Command) -> Result<Vec<Event>, TooLittle> {
///         match *command {
///             Command::Deposit(cents) => Ok(vec![Event::Deposited(cents)]),
///             Command::Withdraw(cents) if cents > self.cents => Err(TooLittle),
///             Command::Withdraw(cents) => Ok(vec![Event::Withdrawn(cents)]),
///         }
///     }
///     fn evolve(&mut self, event: &Event) {
///         match event {
///             Event::Deposited(cents) => self.cents += cents,
///             Event::Withdrawn(cents) => self.cents -= cents,
///         }
///     }
/// }
///
/// /// What was paid in and out, as a list.
/// #[derive(Default)]
/// struct Ledger(Vec<i64>);
///
/// impl Model<Account> for Ledger {
///     fn draw(&self, rng: &mut Rng) -> Command {
///         let cents = rng.below(100);
///         if rng.chance(0.5) { Command::Deposit(cents) } else { Command::Withdraw(cents) }
///     }
///     fn check(
///         &mut self,
///         command: &Command,
///         decided: &Result<Vec<Event>, TooLittle>,
///         now: &Account,
///     ) -> Result<(), String> {
///         let change = match *command {
///             Command::Deposit(cents) => cents as i64,
///             Command::Withdraw(cents) => -(cents as i64),
///         };
///         let has: i64 = self.0.iter().sum();
///         if decided.is_ok() != (has + change >= 0) {
///             return Err(format!("{has} cents are there, and the account decided {decided:?}"));
///         }
///         self.0.extend(decided.is_ok().then_some(change));
///         let has: i64 = self.0.iter().sum();
///         if now.cents as i64 == has { Ok(()) } else { Err(format!("{} cents instead of {has}", now.cents)) }
///     }
/// }
///
/// random_commands::<Account, Ledger>(Seed::new(1));
/// ```
///
/// # Panics
/// They differ: the test fails.
#[track_caller]
pub fn random_commands<A, M>(seed: Seed)
where
    A: Aggregate<Command: Debug>,
    M: Model<A>,
{
    if let Some(difference) = find::<A, M>(seed) {
        panic!("{difference}");
    }
}

/// Commands after which an aggregate and its model differ.
struct Difference<C> {
    seed: Seed,
    commands: Vec<C>,
    /// How many there were before the rest was left out.
    drawn: usize,
    problem: String,
}

impl<C: Debug> fmt::Display for Difference<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, commands, drawn, problem } = self;
        writeln!(f, "the aggregate is not as its model, by seed {seed}: {problem}")?;
        writeln!(f, "after {} commands, of {drawn} that were drawn:", commands.len())?;
        commands.iter().try_for_each(|command| writeln!(f, "  {command:?}"))
    }
}

fn find<A: Aggregate, M: Model<A>>(seed: Seed) -> Option<Difference<A::Command>> {
    (0..SEQUENCES).find_map(|number| {
        let mut rng = seed.stream(&format!("sequence-{number}"));
        let count = 1 + rng.below(COMMANDS_MAX);
        let mut commands = Vec::new();
        let mut pair = Pair::<A, M>::default();
        let mut problem = None;
        while problem.is_none() && (commands.len() as u64) < count {
            let command = pair.model.draw(&mut rng);
            problem = pair.give(&command).err();
            commands.push(command);
        }
        let (drawn, mut problem) = (commands.len(), problem?);
        cut::<A, M>(&mut commands, &mut problem);
        Some(Difference { seed, commands, drawn, problem })
    })
}

/// Leaves out whatever `commands` are not needed for a problem: first large parts, in the end one at a time.
fn cut<A: Aggregate, M: Model<A>>(commands: &mut Vec<A::Command>, problem: &mut String) {
    let mut size = commands.len() / 2;
    while size > 0 {
        let (mut begin, mut was_cut) = (0, false);
        while begin < commands.len() {
            let end = commands.len().min(begin + size);
            let left = commands[..begin].iter().chain(&commands[end..]);
            match first_problem::<A, M>(left) {
                Some((count, found)) => {
                    commands.drain(begin..end);
                    commands.truncate(count);
                    *problem = found;
                    was_cut = true;
                }
                None => begin = end,
            }
        }
        // What could not be left out before may be now.
        if size > 1 || !was_cut {
            size /= 2;
        }
    }
}

/// Returns the first problem, and after how many commands it is there.
fn first_problem<'c, A, M>(commands: impl Iterator<Item = &'c A::Command>) -> Option<(usize, String)>
where
    A: Aggregate<Command: 'c>,
    M: Model<A>,
{
    let mut pair = Pair::<A, M>::default();
    commands.enumerate().find_map(|(index, command)| Some((index + 1, pair.give(command).err()?)))
}

struct Pair<A, M> {
    aggregate: A,
    model: M,
}

impl<A: Aggregate, M: Model<A>> Default for Pair<A, M> {
    fn default() -> Self {
        Self { aggregate: A::default(), model: M::default() }
    }
}

impl<A: Aggregate, M: Model<A>> Pair<A, M> {
    /// Gives a command to both and compares them. After a problem the pair is of no use any more.
    fn give(&mut self, command: &A::Command) -> Result<(), String> {
        let given = catch_unwind(AssertUnwindSafe(|| {
            let decided = self.aggregate.decide(command);
            for event in decided.iter().flatten() {
                self.aggregate.evolve(event);
            }
            self.model.check(command, &decided, &self.aggregate)
        }));
        given.unwrap_or_else(|panic| Err(format!("a panic: {}", message(&*panic))))
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack of at most eight.
    #[derive(Debug, Default)]
    struct Stack<const DEFECT: u8>(Vec<u8>);

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Step {
        Push(u8),
        Pop,
        Clear,
    }

    const SOUND: u8 = 0;
    /// The fourth push after which nothing was taken is left out.
    const FORGETS: u8 = 1;
    const ACCEPTS_TOO_MUCH: u8 = 2;
    const PANICS: u8 = 3;

    impl<const DEFECT: u8> Aggregate for Stack<DEFECT> {
        type Command = Step;
        type Event = Step;
        type Error = &'static str;

        fn decide(&self, step: &Step) -> Result<Vec<Step>, &'static str> {
            match step {
                Step::Push(_) if self.0.len() >= 8 && DEFECT != ACCEPTS_TOO_MUCH => Err("full"),
                Step::Pop if self.0.is_empty() && DEFECT != PANICS => Err("empty"),
                step => Ok(vec![*step]),
            }
        }

        fn evolve(&mut self, step: &Step) {
            match *step {
                Step::Push(_) if DEFECT == FORGETS && self.0.len() == 3 => {}
                Step::Push(value) => self.0.push(value),
                Step::Pop => drop(self.0.pop().expect("something to take")),
                Step::Clear => self.0.clear(),
            }
        }
    }

    /// How many values there are.
    #[derive(Default)]
    struct Count(usize);

    impl<const DEFECT: u8> Model<Stack<DEFECT>> for Count {
        fn draw(&self, rng: &mut Rng) -> Step {
            match rng.below(10) {
                0 => Step::Clear,
                1..4 => Step::Pop,
                _ => Step::Push(rng.below(256) as u8),
            }
        }

        fn check(
            &mut self,
            step: &Step,
            decided: &Result<Vec<Step>, &'static str>,
            now: &Stack<DEFECT>,
        ) -> Result<(), String> {
            let next = match step {
                Step::Push(_) if self.0 < 8 => Some(self.0 + 1),
                Step::Pop => self.0.checked_sub(1),
                Step::Clear => Some(0),
                Step::Push(_) => None,
            };
            if decided.is_ok() != next.is_some() {
                return Err(format!("with {} it decided {decided:?}", self.0));
            }
            self.0 = next.unwrap_or(self.0);
            if now.0.len() == self.0 { Ok(()) } else { Err(format!("{} instead of {}", now.0.len(), self.0)) }
        }
    }

    fn shortest<const DEFECT: u8>(seed: u64) -> Difference<Step> {
        find::<Stack<DEFECT>, Count>(Seed::new(seed)).expect("the defect is found")
    }

    /// Returns how many commands there are, and how many of them push.
    fn pushes(found: &Difference<Step>) -> (usize, usize) {
        let pushes = found.commands.iter().filter(|step| matches!(step, Step::Push(_)));
        (found.commands.len(), pushes.count())
    }

    #[test]
    fn a_sound_aggregate_passes_and_each_defect_is_found_by_the_shortest_sequence() {
        for seed in 0..20 {
            random_commands::<Stack<SOUND>, Count>(Seed::new(seed));
            let forgets = shortest::<FORGETS>(seed);
            assert_eq!(pushes(&forgets), (4, 4), "{forgets}");
            let accepts = shortest::<ACCEPTS_TOO_MUCH>(seed);
            assert_eq!(pushes(&accepts), (9, 9), "{accepts}");
        }
        assert_eq!(shortest::<PANICS>(1).commands, [Step::Pop]);
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        let texts = [3, 3, 4].map(|seed| shortest::<FORGETS>(seed).to_string());
        assert!(texts[0] == texts[1] && texts[0] != texts[2], "{texts:?}");
    }

    #[test]
    #[should_panic(
        expected = "the aggregate is not as its model, by seed 7: 3 instead of 4\nafter 4 commands"
    )]
    fn what_is_found_fails_the_test_with_the_seed() {
        random_commands::<Stack<FORGETS>, Count>(Seed::new(7));
    }
}
