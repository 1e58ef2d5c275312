//! The checker under test: against one that tries every order, and on long histories that are right by making, or
//! wrong.

use proptest::prelude::*;
use steadfast_base::{Rng, Seed};

use super::check::{Verdict, check};
use super::history::{Answer, Call, Model, Operation, Tag};
use crate::store::{Expected, Revision};

/// Tries all orders that keep what ended before what began later, of all calls but some of the unknown ones.
fn brute_force(history: &[Operation]) -> bool {
    fn explained(order: &mut Vec<usize>, history: &[Operation]) -> bool {
        let mut model = Model::default();
        if !order.iter().all(|index| model.explains(&history[*index])) {
            return false;
        }
        let left: Vec<usize> = (0..history.len()).filter(|index| !order.contains(index)).collect();
        if left.iter().all(|index| history[*index].answer == Answer::Unknown) {
            return true;
        }
        left.iter().any(|next| {
            let overtakes = left.iter().any(|other| history[*other].latest() < history[*next].begin);
            if overtakes {
                return false;
            }
            order.push(*next);
            let explained = explained(order, history);
            order.pop();
            explained
        })
    }
    explained(&mut Vec::new(), history)
}

/// Draws a call and lets it take effect, so that its answer is right.
fn draw(model: &mut Model, next: &mut Tag, rng: &mut Rng) -> (Call, Answer) {
    match rng.below(4) {
        0 => (Call::Read, Answer::Events(model.0.clone())),
        1 => (Call::Revision, Answer::Revision(model.revision())),
        _ => {
            let tags: Vec<Tag> = (0..1 + rng.below(2)).map(|more| *next + more).collect();
            *next += tags.len() as u64;
            let expected = match rng.below(5) {
                0 => Some(Expected::NoStream),
                1 => Some(Expected::Exists),
                2 => Some(Expected::Revision(Revision(rng.below(model.0.len() as u64 + 1)))),
                3 => model.revision().map(|revision| Expected::Revision(Revision(revision))),
                _ => None,
            };
            let mut alone = Operation {
                call: Call::Append { tags, expected },
                answer: Answer::Unknown,
                begin: 0,
                end: 0,
            };
            let before = model.0.len();
            let Call::Append { tags, .. } = &alone.call else { unreachable!("it was just made") };
            let revision = model.revision();
            let last = (before + tags.len()) as u64 - 1;
            alone.answer =
                if model.explains(&alone) { Answer::Appended(last) } else { Answer::Conflict(revision) };
            (alone.call, alone.answer)
        }
    }
}

/// Draws a history that is right: calls take effect one after the other, and begin and end around that at random. Some
/// of the appends do not hear of it, whether they took effect or not.
fn right(calls: u64, rng: &mut Rng) -> Vec<Operation> {
    let (mut model, mut next, mut history) = (Model::default(), 1, Vec::new());
    for number in 0..calls {
        let lost = rng.chance(0.1);
        let mut forgotten = model.clone();
        let used = if lost && rng.chance(0.5) { &mut forgotten } else { &mut model };
        let (call, mut answer) = draw(used, &mut next, rng);
        if lost {
            if !matches!(call, Call::Append { .. }) {
                continue;
            }
            answer = Answer::Unknown;
        }
        // Ticks are told apart by the number of their call.
        let at = (number + 10) * 10;
        let (begin, end) = ((at - rng.below(60)) * calls + number, (at + rng.below(60)) * calls + number);
        history.push(Operation { call, answer, begin, end: end + 1 });
    }
    // One that comes last sees it all.
    let end = (calls + 20) * 10 * calls;
    let answer = Answer::Events(model.0.clone());
    history.push(Operation { call: Call::Read, answer, begin: end, end: end + 1 });
    history
}

/// Changes one answer, which may or may not make it wrong.
fn change(history: &mut [Operation], rng: &mut Rng) {
    let index = rng.below(history.len() as u64) as usize;
    let (more, reverses) = (1 + rng.below(2), rng.chance(0.5));
    let change = |revision: &mut u64| *revision = (*revision + more) % 4;
    match &mut history[index].answer {
        Answer::Appended(revision) => change(revision),
        Answer::Conflict(revision) | Answer::Revision(revision) => match revision {
            Some(revision) => change(revision),
            None => *revision = Some(0),
        },
        Answer::Events(tags) if reverses => tags.reverse(),
        Answer::Events(tags) => drop(tags.pop()),
        Answer::Unknown => history[index].answer = Answer::Appended(0),
    }
}

proptest! {
    #[test]
    fn it_agrees_with_trying_every_order(seed: u64, changes in 0..3) {
        let mut rng = Seed::new(seed).rng();
        let mut history = right(6, &mut rng);
        for _ in 0..changes {
            change(&mut history, &mut rng);
        }
        let verdict = check(&history);
        prop_assert_eq!(verdict == Verdict::Explained, brute_force(&history), "{:?} {:#?}", verdict, history);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn long_histories_that_are_right_pass(seed: u64) {
        let history = right(200, &mut Seed::new(seed).rng());
        prop_assert_eq!(check(&history), Verdict::Explained);
    }

    /// The read at the end says where everything stands, so that none of these can be explained.
    #[test]
    fn long_histories_that_are_wrong_are_refused(seed: u64, which in 0..4) {
        let mut rng = Seed::new(seed).rng();
        let mut history = right(200, &mut rng);
        let last = history.len() - 1;
        let length = match &history[last].answer {
            Answer::Events(tags) => tags.len() as u64,
            _ => unreachable!("it reads"),
        };
        prop_assume!(length > 20);
        let appended = |operation: &&mut Operation| matches!(operation.answer, Answer::Appended(_));
        match which {
            // Another one was told the place of an append.
            0 => {
                let mut acknowledged = history.iter_mut().filter(appended);
                let first = acknowledged.next().map(|first| first.answer.clone());
                let other = acknowledged.nth(rng.below(20) as usize);
                other.expect("there are many").answer = first.expect("there are many");
            }
            // An acknowledged event is gone.
            1 => {
                let operation = history.iter_mut().find(appended).expect("there are many");
                let Call::Append { tags, .. } = operation.call.clone() else { unreachable!("it appends") };
                let Answer::Events(all) = &mut history[last].answer else { unreachable!("it reads") };
                all.retain(|tag| !tags.contains(tag));
            }
            // A read long after the others sees none of them.
            2 => {
                let Operation { begin, .. } = history[last];
                let (call, answer) = (Call::Revision, Answer::Revision(None));
                history.push(Operation { call, answer, begin: begin + 2, end: begin + 3 });
            }
            // A condition held that could not.
            _ => {
                let Operation { begin, .. } = history[last];
                let call = Call::Append { tags: vec![u64::MAX], expected: Some(Expected::NoStream) };
                history.push(Operation { call, answer: Answer::Appended(length), begin: begin + 2, end: begin + 3 });
            }
        }
        prop_assert!(matches!(check(&history), Verdict::Unexplained(_)));
    }
}

#[test]
fn a_dropped_append_may_come_late_or_never_but_not_early() {
    let append = |begin| Operation {
        call: Call::Append { tags: vec![1], expected: None },
        answer: Answer::Unknown,
        begin,
        end: begin + 1,
    };
    let read = |tags: &[Tag], begin| Operation {
        call: Call::Read,
        answer: Answer::Events(tags.to_vec()),
        begin,
        end: begin + 1,
    };
    let explained = |history: &[Operation]| check(history) == Verdict::Explained;
    assert!(explained(&[append(0), read(&[], 10), read(&[1], 20)]), "late");
    assert!(explained(&[append(0), read(&[], 10), read(&[], 20)]), "never");
    assert!(!explained(&[append(0), read(&[1], 10), read(&[], 20)]), "not back again");
    assert!(!explained(&[read(&[1], 10), append(20)]), "not before it began");
}
