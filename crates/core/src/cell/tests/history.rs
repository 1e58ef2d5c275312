//! Reads and swaps of several threads at once, recorded with begin and end, and checked for an order of steps that
//! explains them. Versions tell the order of changes, so the check need not search: it is exact and quick. Two
//! registers with planted bugs show that it finds what it is for.

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::cell::{Cell, CellMap};

/// A version and its value.
type Seen = (u64, u64);

trait Register: Sync {
    fn load(&self) -> Seen;

    /// Returns the new version, or what there is instead.
    fn swap(&self, version: u64, value: u64) -> Result<u64, Seen>;
}

impl Register for Cell<u64> {
    fn load(&self) -> Seen {
        let now = self.load();
        (now.version(), *now)
    }

    fn swap(&self, version: u64, value: u64) -> Result<u64, Seen> {
        self.compare_and_swap(version, value).map_err(|now| (now.version(), *now))
    }
}

/// One key of a map that splits its shards meanwhile.
struct Key(CellMap<u64, u64>, AtomicU64);

impl Key {
    fn new() -> Self {
        Self(CellMap::from_iter([(0, 0)]), AtomicU64::new(1))
    }
}

impl Register for Key {
    fn load(&self) -> Seen {
        self.0.get(&0).map(|now| (now.version(), *now)).expect("it is never removed")
    }

    fn swap(&self, version: u64, value: u64) -> Result<u64, Seen> {
        self.0.insert(self.1.fetch_add(1, Ordering::Relaxed), 0);
        let swapped = self.0.compare_and_swap(0, Some(version), value);
        swapped.map_err(|now| now.map(|now| (now.version(), *now)).expect("it is never removed"))
    }
}

/// Planted: the version is compared, and the value put in place, in two steps.
struct TwoSteps(Mutex<Seen>);

impl Register for TwoSteps {
    fn load(&self) -> Seen {
        *self.0.lock()
    }

    fn swap(&self, version: u64, value: u64) -> Result<u64, Seen> {
        let now = *self.0.lock();
        if now.0 != version {
            return Err(now);
        }
        thread::yield_now();
        *self.0.lock() = (version + 1, value);
        Ok(version + 1)
    }
}

/// Planted: a read is answered from a copy that is brought up to date every now and then.
struct Stale {
    now: Mutex<Seen>,
    copy: Mutex<Seen>,
    reads: AtomicU64,
}

impl Register for Stale {
    fn load(&self) -> Seen {
        if self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            *self.copy.lock() = *self.now.lock();
        }
        *self.copy.lock()
    }

    fn swap(&self, version: u64, value: u64) -> Result<u64, Seen> {
        let mut now = self.now.lock();
        if now.0 != version {
            return Err(*now);
        }
        *now = (version + 1, value);
        Ok(now.0)
    }
}

#[derive(Debug, Clone, Copy)]
struct Step {
    begin: u64,
    end: u64,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Read(Seen),
    Swapped { from: u64, to: Seen },
    Refused { from: u64, now: Seen },
}

impl Outcome {
    fn seen(self) -> Seen {
        match self {
            Self::Read(seen) | Self::Swapped { to: seen, .. } | Self::Refused { now: seen, .. } => seen,
        }
    }
}

const THREADS: u64 = 4;
const STEPS: u64 = 200;

/// Lets the threads read and swap, each by the version that it saw last.
fn record(register: &impl Register) -> (Seen, Vec<Step>) {
    let (ticks, barrier, first) = (AtomicU64::new(0), Barrier::new(THREADS as usize), register.load());
    let tick = || ticks.fetch_add(1, Ordering::SeqCst);
    let steps = thread::scope(|scope| {
        let run = |thread: u64| {
            let mut seen = first;
            barrier.wait();
            let step = |number| {
                let begin = tick();
                let outcome = if number % 3 == 0 {
                    Outcome::Read(register.load())
                } else {
                    let (from, value) = (seen.0, 1 + thread * STEPS + number);
                    match register.swap(from, value) {
                        Ok(version) => Outcome::Swapped { from, to: (version, value) },
                        Err(now) => Outcome::Refused { from, now },
                    }
                };
                seen = outcome.seen();
                Step { begin, end: tick(), outcome }
            };
            (0..STEPS).map(step).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    (first, steps)
}

/// Says why no order of steps explains what was seen.
fn check(first: Seen, mut steps: Vec<Step>) -> Result<(), String> {
    let mut written = HashMap::from([(first.0, (first.1, 0))]);
    let mut replaced = HashMap::new();
    for step in &steps {
        if let Outcome::Swapped { from, to } = step.outcome {
            if to.0 <= from || written.insert(to.0, (to.1, step.begin)).is_some() {
                return Err(format!("version {} was given twice, or to an older one", to.0));
            }
            if replaced.insert(from, to.0).is_some() {
                return Err(format!("version {from} was replaced twice"));
            }
        }
    }
    // From the first version each leads to the next, so there is one order of changes, and all belong to it.
    let (mut version, mut changes) = (first.0, 0);
    while let Some(next) = replaced.get(&version) {
        (version, changes) = (*next, changes + 1);
    }
    if changes != replaced.len() {
        return Err("a version was replaced that there never was".to_owned());
    }
    for Step { end, outcome, .. } in &steps {
        let seen = outcome.seen();
        match written.get(&seen.0) {
            Some((value, begin)) if *value == seen.1 && begin < end => {}
            _ => return Err(format!("{outcome:?} saw what was not written then")),
        }
        if matches!(outcome, Outcome::Refused { from, now } if *from == now.0) {
            return Err(format!("{outcome:?} for nothing"));
        }
    }
    // What had been seen when a step began is the least that it may have met.
    let mut ended = steps.clone();
    ended.sort_by_key(|step| step.end);
    steps.sort_by_key(|step| step.begin);
    let (mut ended, mut least) = (ended.iter().peekable(), first.0);
    for step in &steps {
        while let Some(before) = ended.next_if(|before| before.end < step.begin) {
            least = least.max(before.outcome.seen().0);
        }
        let met = match step.outcome {
            Outcome::Swapped { from, .. } => from,
            other => other.seen().0,
        };
        if met < least {
            return Err(format!("{:?} met version {met} after {least} had been seen", step.outcome));
        }
    }
    Ok(())
}

fn round(register: &impl Register) -> Result<(), String> {
    let (first, steps) = record(register);
    check(first, steps)
}

#[test]
fn a_cell_is_linearizable() {
    for _ in 0..100 {
        assert_eq!(round(&Cell::new(0)), Ok(()));
    }
}

#[test]
fn a_key_of_a_map_is_linearizable() {
    for _ in 0..100 {
        assert_eq!(round(&Key::new()), Ok(()));
    }
}

#[test]
fn a_swap_in_two_steps_is_found() {
    let found = (0..200).find_map(|_| round(&TwoSteps(Mutex::new((1, 0)))).err());
    assert!(found.is_some_and(|why| why.contains("twice")));
}

#[test]
fn a_stale_read_is_found() {
    let register = || Stale { now: Mutex::new((1, 0)), copy: Mutex::new((1, 0)), reads: AtomicU64::new(0) };
    let found = (0..200).find_map(|_| round(&register()).err());
    assert!(found.is_some_and(|why| why.contains("had been seen")));
}
