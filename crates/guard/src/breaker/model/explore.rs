//! All interleavings of calls, drops and time, up to a bound: a breadth-first search over the states of a real
//! breaker. A state is reached by taking the steps that lead to it anew, so that nothing but the breaker's own
//! functions is at work; two states are the same when nothing that follows can tell them apart.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::super::state::Outcome;
use super::super::{BreakerPolicy, SlowCalls, Window};
use super::{Step, World, run};

/// A step of time: a power of two, as are the parts of time that tell how old calls are, so that few moments differ.
const TICK: Duration = ticks(1);

const fn ticks(count: u64) -> Duration {
    Duration::from_nanos(count << 20)
}

/// How far to look.
#[derive(Debug, Clone, Copy)]
struct Bound {
    /// How many calls are under way at once.
    under_way: usize,
    /// How many calls lie in the window.
    in_window: usize,
    /// How many steps lead from the beginning to a state.
    steps: usize,
}

#[derive(Debug, Default)]
struct Explored {
    states: usize,
    steps: usize,
    longest: usize,
    /// Whether states beyond the bound of steps were left out.
    cut: bool,
}

/// Visits every state within the bound, and returns the first path on which breaker and specification differ, or after
/// which the breaker does not close though the callee is well.
fn explore(policy: BreakerPolicy, bound: Bound, leaks: bool) -> Result<Explored, (Vec<Step>, String)> {
    run(async {
        let mut explored = Explored::default();
        let mut seen = HashSet::new();
        let mut paths = VecDeque::from([Vec::new()]);
        seen.insert(key(&mut World::new(policy, leaks)));
        while let Some(path) = paths.pop_front() {
            let world = walk(policy, leaks, &path).await.expect("the path was walked before");
            explored.states += 1;
            explored.longest = path.len();
            for step in steps(&world, bound) {
                let mut longer = path.clone();
                longer.push(step);
                let mut world = match walk(policy, leaks, &longer).await {
                    Ok(world) => world,
                    Err(problem) => return Err((longer, problem)),
                };
                explored.steps += 1;
                if !seen.insert(key(&mut world)) {
                    continue;
                }
                if let Err(problem) = world.resolves().await {
                    return Err((longer, problem));
                }
                if longer.len() < bound.steps {
                    paths.push_back(longer);
                } else {
                    explored.cut = true;
                    explored.states += 1;
                }
            }
        }
        Ok(explored)
    })
}

async fn walk(policy: BreakerPolicy, leaks: bool, path: &[Step]) -> Result<World, String> {
    let mut world = World::new(policy, leaks);
    for &step in path {
        world.step(step).await?;
    }
    Ok(world)
}

/// Returns all that can happen next within the bound.
fn steps(world: &World, bound: Bound) -> Vec<Step> {
    let mut steps = vec![Step::Pass(TICK), Step::Open, Step::Close];
    if world.calls.len() < bound.under_way && world.spec.calls_in_window() < bound.in_window {
        // Two stripes, by turns.
        steps.push(Step::Begin(world.calls.len() % 2));
    }
    for which in 0..world.calls.len() {
        steps.extend(
            [Outcome::Succeeded, Outcome::Failed, Outcome::Abandoned].map(|end| Step::End(which, end)),
        );
    }
    steps
}

/// Returns what tells states apart: what the specification knows, and what the breaker keeps.
fn key(world: &mut World) -> (Vec<u64>, [u64; 6]) {
    let (now, age_max) = (world.now(), 8 * TICK.as_nanos() as u64);
    let under: Vec<_> = world.calls.iter().map(|call| call.under).collect();
    (world.spec.key(now, &under, age_max), world.breaker.fingerprint())
}

/// Trips by count: 2 of 3 calls failed, or 2 in a row; 2 probes.
const BY_COUNT: BreakerPolicy = BreakerPolicy {
    window: Window::Calls(3),
    calls_min: 3,
    failure_ratio: 0.6,
    slow_calls: None,
    consecutive_failures: Some(2),
    open_for: ticks(2),
    probes: 2,
    probing_for: ticks(3),
};

/// Trips by time: half of the calls within 20 ticks.
const BY_TIME: BreakerPolicy = BreakerPolicy {
    window: Window::Time(ticks(20)),
    calls_min: 2,
    failure_ratio: 0.5,
    consecutive_failures: None,
    probes: 1,
    ..BY_COUNT
};

/// Trips when half of the calls take longer than 4 ticks, those under way too.
const BY_SLOWNESS: BreakerPolicy = BreakerPolicy {
    window: Window::Calls(2),
    calls_min: 2,
    failure_ratio: 1.0,
    slow_calls: Some(SlowCalls { longer_than: ticks(4), ratio: 0.5 }),
    consecutive_failures: None,
    probes: 1,
    ..BY_COUNT
};

/// Trips by 2 failures in a row, between which slow calls are given up.
const BY_RUN: BreakerPolicy = BreakerPolicy {
    failure_ratio: 1.0,
    slow_calls: Some(SlowCalls { longer_than: ticks(4), ratio: 1.0 }),
    consecutive_failures: Some(2),
    ..BY_SLOWNESS
};

#[allow(clippy::print_stdout, reason = "how much was explored is the result")]
fn report(line: &str) {
    println!("{line}");
}

fn check(name: &str, policy: BreakerPolicy, bound: Bound) {
    match explore(policy, bound, false) {
        Ok(explored) => {
            report(&format!("{name}: {explored:?} within {bound:?}"));
            assert!(explored.states > 100, "the search ended early");
        }
        Err((path, problem)) => panic!("{name}: {problem}, after {path:#?}"),
    }
}

#[test]
fn every_interleaving_of_a_window_of_calls() {
    check("by count", BY_COUNT, Bound { under_way: 3, in_window: 4, steps: 40 });
}

#[test]
fn every_interleaving_of_a_window_of_time() {
    check("by time", BY_TIME, Bound { under_way: 2, in_window: 3, steps: 16 });
}

#[test]
fn every_interleaving_of_slow_calls() {
    check("by slowness", BY_SLOWNESS, Bound { under_way: 3, in_window: 3, steps: 40 });
}

#[test]
fn every_interleaving_of_a_run_of_failures_and_slow_calls() {
    check("by run", BY_RUN, Bound { under_way: 2, in_window: 3, steps: 40 });
}

#[test]
fn finds_a_leaked_permit() {
    let bound = Bound { under_way: 3, in_window: 4, steps: 40 };
    let (path, problem) = explore(BY_COUNT, bound, true).expect_err("the leak goes unnoticed");
    report(&format!("found after {} steps: {problem}\n{path:?}", path.len()));
    assert!(path.iter().any(|step| matches!(step, Step::End(_, Outcome::Abandoned))));
}
