//! The search for an order that explains a history: Wing and Gong's (*Testing and verifying concurrent objects*, JPDC
//! 1993), which goes back where it gets stuck, with Lowe's memory of where it has been (*Testing for linearizability*,
//! Concurrency and Computation 2017).
//!
//! That a stream is only appended to spares most of the search. A call that changes nothing is best done as soon as it
//! explains its answer, so nothing else is tried in its place. And what the stream is like must be the begin of what
//! every read that is still to come has got.

use std::collections::HashSet;

use super::history::{Answer, Model, Operation};

/// How many steps a search takes before it gives up; far more than any history of a few hundred calls has needed.
const STEPS_MAX: usize = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is such an order.
    Explained,
    /// There is none; a call that got no further.
    Unexplained(String),
    /// The search was given up.
    Undecided,
}

/// The calls that have taken effect, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    fn flip(&mut self, index: usize) {
        self.0[index / 64] ^= 1 << (index % 64);
    }
}

/// Looks for an order of the calls on one stream that explains all answers.
pub(super) fn check(history: &[Operation]) -> Verdict {
    let mut history: Vec<&Operation> = history.iter().collect();
    history.sort_by_key(|operation| operation.begin);
    let mut done = Done(vec![0; history.len().div_ceil(64)]);
    let mut left = history.iter().filter(|operation| operation.answer != Answer::Unknown).count();
    let mut model = Model::default();
    // Where the search has been: what has taken effect, and what the stream was like.
    let mut seen = HashSet::new();
    // The way to where it is: each call, and how long the stream was before it.
    let mut way: Vec<(usize, usize)> = Vec::new();
    let (mut from, mut furthest, mut steps) = (0, (0, None), 0);
    while left > 0 {
        steps += 1;
        if steps > STEPS_MAX {
            return Verdict::Undecided;
        }
        if let Some((index, length)) = step(&history, &mut done, &mut model, &mut seen, from) {
            way.push((index, length));
            left -= usize::from(history[index].answer != Answer::Unknown);
            from = 0;
            continue;
        }
        if way.len() >= furthest.0 {
            let stuck = pending(&history, &done).min_by_key(|index| history[*index].latest());
            furthest = (way.len() + 1, stuck.map(|index| (index, model.clone())));
        }
        loop {
            let Some((index, length)) = way.pop() else { return unexplained(&history, furthest.1) };
            let changed = model.0.len() > length;
            done.flip(index);
            model.0.truncate(length);
            left += usize::from(history[index].answer != Answer::Unknown);
            if changed {
                from = index + 1;
                break;
            }
        }
    }
    Verdict::Explained
}

/// Lets a call take effect that may and that leads somewhere new: one that changes nothing, if there is such a one, else
/// the first from `from` on. Returns it, and how long the stream was before.
fn step(
    history: &[&Operation],
    done: &mut Done,
    model: &mut Model,
    seen: &mut HashSet<(Done, Vec<u64>)>,
    from: usize,
) -> Option<(usize, usize)> {
    // No call may take effect after one that began when it had ended.
    let deadline = pending(history, done).map(|index| history[index].latest()).min()?;
    let length = model.0.len();
    let possible = (0..history.len()).take_while(|index| history[*index].begin <= deadline);
    let mut changing = Vec::new();
    for index in possible {
        if done.has(index) || !model.explains(history[index]) {
            continue;
        }
        if model.0.len() == length {
            done.flip(index);
            return Some((index, length));
        }
        if index >= from && agrees(history, done, model, length) {
            changing.push(index);
        }
        model.0.truncate(length);
    }
    changing.into_iter().find_map(|index| {
        done.flip(index);
        model.explains(history[index]);
        if seen.insert((done.clone(), model.0.clone())) {
            return Some((index, length));
        }
        done.flip(index);
        model.0.truncate(length);
        None
    })
}

/// Says whether what was added to the stream behind `length` is what every read has got that is still to come.
fn agrees(history: &[&Operation], done: &Done, Model(tags): &Model, length: usize) -> bool {
    pending(history, done).all(|index| match &history[index].answer {
        Answer::Events(seen) => seen.get(length..tags.len()) == Some(&tags[length..]),
        _ => true,
    })
}

fn pending<'a>(history: &'a [&Operation], done: &'a Done) -> impl Iterator<Item = usize> + 'a {
    (0..history.len()).filter(|index| !done.has(*index))
}

fn unexplained(history: &[&Operation], stuck: Option<(usize, Model)>) -> Verdict {
    let Some((index, Model(tags))) = stuck else { return Verdict::Unexplained("nothing".to_owned()) };
    let Operation { call, answer, begin, end } = history[index];
    let after = tags.len();
    Verdict::Unexplained(format!(
        "{call:?} from {begin} to {end} got {answer:?} after {after} events: {tags:?}"
    ))
}
