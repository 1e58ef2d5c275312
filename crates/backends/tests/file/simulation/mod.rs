//! Thousands of lives of a log, each with appends, faults and a crash out of one seed, against a model.
//!
//! `STEADFAST_SEED=N` runs one seed alone, `STEADFAST_SEED=N..M` those from N up to M, `STEADFAST_FULL=1` fifty thousand.

mod gate;
mod history;
mod life;
mod model;
mod planted;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use life::{LiedTo, live, live_on_a_liar};
use planted::Plant;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Which seeds are asked for.
fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("STEADFAST_SEED") else {
        return 0..if std::env::var_os("STEADFAST_FULL").is_some() { 50_000 } else { 3_000 };
    };
    let number = |text: &str| text.parse::<u64>().expect("STEADFAST_SEED is a number, or two");
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&asked)..number(&asked) + 1,
    }
}

#[test]
fn no_crash_loses_what_was_promised() {
    let runtime = runtime();
    for seed in seeds() {
        let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(live(seed, Plant::None))));
        if let Err(panic) = lived {
            eprintln!("STEADFAST_SEED={seed} shows it again");
            resume_unwind(panic);
        }
    }
}

/// What a disk that lies was given is lost; what it had before is not, and the log does not make anything up.
#[test]
fn a_disk_that_lies_damages_nothing_silently() {
    let runtime = runtime();
    let mut found = [LiedTo::Whole, LiedTo::Shortened, LiedTo::Damaged].map(|found| (found, 0));
    for seed in 0..200 {
        let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(live_on_a_liar(seed))));
        let lived = lived.unwrap_or_else(|panic| {
            eprintln!("seed {seed} shows it again");
            resume_unwind(panic)
        });
        found.iter_mut().filter(|(kind, _)| *kind == lived).for_each(|(_, count)| *count += 1);
    }
    assert!(found.iter().all(|(_, count)| *count > 0), "lies were not noticed: {found:?}");
}

#[test]
fn a_seed_lives_the_same_life_twice() {
    let runtime = runtime();
    for seed in 0..60 {
        let [once, again] = [0, 1].map(|_| runtime.block_on(live(seed, Plant::None)));
        assert!(once == again, "seed {seed}");
    }
}

/// Says which seed notices the defect first, of as many as CI runs.
fn caught(plant: Plant) -> Option<u64> {
    let runtime = runtime();
    (0..500).find(|seed| catch_unwind(AssertUnwindSafe(|| runtime.block_on(live(*seed, plant)))).is_err())
}

#[test]
fn a_log_without_fdatasync_is_caught() {
    assert!(caught(Plant::NoSync).is_some());
}

#[test]
fn a_condition_checked_after_the_write_is_caught() {
    assert!(caught(Plant::LateCondition).is_some());
}

#[test]
fn a_deletion_that_is_answered_too_early_is_caught() {
    assert!(caught(Plant::EarlyDeletion).is_some());
}

#[test]
fn checksums_that_are_not_checked_are_caught() {
    assert!(caught(Plant::NoChecksum).is_some());
}
