//! What each guard adds to a call that succeeds, beside its peers, in turns in the same run.

mod ours;
mod peers;
mod report;
mod round;

use std::time::Duration;

use steadfast_base::Deadline;
use steadfast_guard::testing::bare::Bare;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use self::round::{Subject, clock};
use crate::{Options, Row, progress};

/// A deadline that no call reaches.
const FAR: Duration = Duration::from_secs(3600);

/// A guard, who its peers are, and what is asked of it.
struct Compared {
    name: &'static str,
    ours: Subject,
    /// How often ours reads the clock.
    clock_reads: u32,
    /// What a call may take at one thread, in nanoseconds, and whether its readings of the clock are in it.
    bound: Option<(f64, ClockReads)>,
    peers: Vec<(&'static str, Subject)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockReads {
    In,
    Apart,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let rounds = if options.quick { 21 } else { 101 };
    let _entered = runtime.enter();
    let mut rows = Vec::new();
    let at_once = Bare { yields: false };
    let later = Bare { yields: true };
    let groups = [
        ("", at_once, compared_at_once(at_once)?),
        (", its service yields once", later, compared_when_it_yields(later)?),
    ];
    for (when, bare, compared) in groups {
        progress(format!("{} guards{when}, {rounds} rounds", compared.len()));
        rows.extend(measure(&runtime, rounds, bare, when, &compared)?);
    }
    rows.extend(report::allocations(&compared_at_once(at_once)?));
    Ok(rows)
}

fn compared_at_once(bare: Bare) -> anyhow::Result<Vec<Compared>> {
    use ClockReads::{Apart, In};
    let far = Some(Deadline::at(Instant::now() + FAR));
    let alone = ours::alone(bare, far).into_iter().map(|(name, ours, clock_reads)| Compared {
        name,
        ours,
        clock_reads,
        bound: None,
        peers: Vec::new(),
    });
    let compared = vec![
        Compared {
            name: "breaker",
            ours: ours::breaker(bare),
            clock_reads: 0,
            bound: Some((40.0, Apart)),
            peers: peers::breakers(bare)?,
        },
        Compared {
            name: "limiter",
            ours: ours::limiter(bare),
            clock_reads: 1,
            bound: Some((20.0, Apart)),
            peers: peers::limiters(bare)?,
        },
        Compared {
            name: "limiter that is told the time",
            ours: ours::limiter_told_the_time(bare),
            clock_reads: 0,
            bound: Some((20.0, Apart)),
            peers: peers::limiter_told_the_time(bare),
        },
        Compared {
            name: "deadline",
            ours: ours::deadline(bare, far),
            clock_reads: 1,
            bound: Some((10.0, Apart)),
            peers: peers::timeouts(bare),
        },
        Compared {
            name: "retry",
            ours: ours::retry(bare),
            clock_reads: 0,
            bound: Some((20.0, Apart)),
            peers: peers::retries(bare),
        },
        Compared {
            name: "stack of five",
            ours: ours::stack(bare, far),
            clock_reads: 4,
            bound: Some((200.0, In)),
            peers: vec![peers::stack(bare)?],
        },
    ];
    Ok(compared.into_iter().chain(alone).collect())
}

fn compared_when_it_yields(bare: Bare) -> anyhow::Result<Vec<Compared>> {
    let far = Some(Deadline::at(Instant::now() + FAR));
    Ok(vec![
        Compared {
            name: "deadline",
            ours: ours::deadline(bare, far),
            clock_reads: 1,
            bound: Some((150.0, ClockReads::Apart)),
            peers: peers::timeouts(bare),
        },
        Compared {
            name: "stack of five",
            ours: ours::stack(bare, far),
            clock_reads: 4,
            bound: None,
            peers: vec![peers::stack(bare)?],
        },
    ])
}

/// Measures each guard and its peers once in each round, and makes rows of the medians of what they add.
fn measure(
    runtime: &Runtime,
    rounds: usize,
    bare: Bare,
    when: &str,
    compared: &[Compared],
) -> anyhow::Result<Vec<Row>> {
    let bare = Subject::new(bare, None);
    let subjects: Vec<&Subject> = compared
        .iter()
        .flat_map(|guard| std::iter::once(&guard.ours).chain(guard.peers.iter().map(|(_, peer)| peer)))
        .collect();
    let mut added = vec![[Vec::new(), Vec::new()]; subjects.len()];
    let mut clocks = Vec::new();
    for _ in 0..rounds {
        clocks.push(clock());
        for threads in [1, 2] {
            let base = bare.sample(runtime, threads)?;
            for (subject, added) in subjects.iter().zip(&mut added) {
                added[threads - 1].push(subject.sample(runtime, threads)? - base);
            }
        }
    }
    let clock = round::median(&mut clocks);
    let medians: Vec<[f64; 2]> =
        added.iter_mut().map(|added| [0, 1].map(|at| round::median(&mut added[at]))).collect();
    Ok(report::rows(when, clock, compared, &medians))
}
