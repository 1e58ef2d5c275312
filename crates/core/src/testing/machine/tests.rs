use super::*;
use crate::machine::{Control, Lifecycle};
use crate::{Aggregate, Machine};

crate::machine! {
    enum Gate {
        Open => { Close => Shut },
        Shut => { Open => Open, Lock => Locked },
        Locked,
        Torn => { Mend => Open },
    }
    enum Hand { Open, Close, Lock, Mend, Paint, Build }
    start: Open on Build
}

/// Follows the life cycle, but for one pair if it is to be wrong.
struct Job<const WRONG: bool>(Lifecycle);

impl<const WRONG: bool> Default for Job<WRONG> {
    fn default() -> Self {
        Self(Lifecycle::START)
    }
}

impl<const WRONG: bool> Aggregate for Job<WRONG> {
    type Command = Control;
    type Event = Lifecycle;
    type Error = ();

    fn decide(&self, command: &Control) -> Result<Vec<Lifecycle>, ()> {
        if WRONG && (self.0, *command) == (Lifecycle::Paused, Control::Start) {
            return Ok(vec![Lifecycle::Running]);
        }
        self.0.next(*command).map(|state| vec![state]).map_err(|_| ())
    }

    fn evolve(&mut self, state: &Lifecycle) {
        self.0 = *state;
    }
}

#[test]
fn the_life_cycle_is_sound_and_drawn() {
    assert_sound::<Lifecycle>();
    assert_diagram::<Lifecycle>(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagrams/lifecycle.mmd"));
}

#[test]
#[should_panic(expected = "nothing leads to: torn; transitions that never happen: torn --mend--> open; \
                           commands that no state allows: paint")]
fn what_can_never_matter_fails_the_test() {
    assert_sound::<Gate>();
}

#[test]
#[should_panic(expected = "`pause` in `running` is declared `paused`, but is refused")]
fn a_row_too_few_fails_the_test() {
    use Lifecycle::{Initial, Paused, Running, Terminated};
    assert_table([
        (Initial, Control::Start, Running),
        (Running, Control::Terminate, Terminated),
        (Paused, Control::Resume, Running),
        (Paused, Control::Terminate, Terminated),
    ]);
}

#[test]
#[should_panic(expected = "the table has `start` in `initial` twice")]
fn a_row_too_many_fails_the_test() {
    let row = (Lifecycle::Initial, Control::Start, Lifecycle::Running);
    assert_table([row, row]);
}

#[test]
fn an_aggregate_is_followed_through_every_pair() {
    assert_eq!(assert_aggregate(|job: &Job<false>| Some(job.0), |command| command), 16);
}

#[test]
#[should_panic(expected = "`start` in `paused` is declared refused, but is `running`")]
fn an_aggregate_that_allows_more_fails_the_test() {
    assert_aggregate(|job: &Job<true>| Some(job.0), |command| command);
}

#[test]
fn a_diagram_out_of_date_is_found_and_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.mmd");
    assert!(diagram::check::<Gate>(&path, false).is_err_and(|problem| problem.contains("UPDATE_DIAGRAMS=1")));
    std::fs::write(&path, "stateDiagram-v2\n").expect("a file");
    assert!(
        diagram::check::<Gate>(&path, false).is_err_and(|problem| problem.contains("[*] --> open: build"))
    );
    assert_eq!(diagram::check::<Gate>(&path, true), Ok(()));
    assert_eq!(diagram::check::<Gate>(&path, false), Ok(()));
}
