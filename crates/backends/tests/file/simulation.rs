//! Thousands of lives of a log, each with appends, faults and a crash out of one seed, against a model.
//!
//! `STEADFAST_SEED=N` runs one seed alone, `STEADFAST_FULL=1` ten times as many.

use std::sync::Arc;

use futures::future::join_all;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{Crash, DiskFault};
use steadfast_base::units::Size;
use steadfast_base::{Rng, Seed};
use steadfast_core::store::{Appended, Durability, Error, Outcome};

use crate::support::{FOLDER, all, sim, small, try_append};

/// A batch that was sent, and what is known of it.
#[derive(Debug)]
struct Sent {
    stream: &'static str,
    ids: Vec<u64>,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It must be there, its last event at this position.
    There(u64),
    /// It must not be there, now or later.
    Absent,
    /// It may be there.
    Unknown,
}

/// What the outcome of an append says about the batch after `crash`.
fn fate(result: &Result<Appended, Error>, crash: Crash) -> Fate {
    match result {
        Ok(appended) => {
            let safe = match crash {
                Crash::ProcessOnly => Durability::Written,
                _ => Durability::Durable,
            };
            if appended.achieved >= safe { Fate::There(appended.position.parts().0) } else { Fate::Unknown }
        }
        Err(error) if error.outcome() == Outcome::NotAppended => Fate::Absent,
        Err(_) => Fate::Unknown,
    }
}

/// Compares the log with all that was sent, and settles what was unknown.
fn check(found: &[(u64, String, u64)], sent: &mut [Sent]) {
    let positions: Vec<u64> = found.iter().map(|(position, ..)| *position).collect();
    assert_eq!(positions, Vec::from_iter(1..=found.len() as u64), "positions have no holes");
    let mut known = 0;
    for batch in sent {
        let at = found.iter().position(|(.., id)| *id == batch.ids[0]);
        let Some(at) = at else {
            assert!(!matches!(batch.fate, Fate::There(_)), "{batch:?} is lost");
            assert!(!found.iter().any(|(.., id)| batch.ids.contains(id)), "a part of {batch:?} is there");
            batch.fate = Fate::Absent;
            continue;
        };
        let last = (at + batch.ids.len()) as u64;
        assert_ne!(batch.fate, Fate::Absent, "{batch:?} has appeared");
        assert!(matches!(batch.fate, Fate::Unknown) || batch.fate == Fate::There(last), "{batch:?} moved");
        let there: Vec<u64> = found[at..].iter().take(batch.ids.len()).map(|(.., id)| *id).collect();
        assert_eq!(there, batch.ids, "batches are whole");
        assert!(found[at..last as usize].iter().all(|(_, stream, _)| stream == batch.stream));
        batch.fate = Fate::There(last);
        known += batch.ids.len();
    }
    assert_eq!(known, found.len(), "nothing is there that nobody sent");
}

fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

/// Lives through one seed and returns what was in the log at the end of each life.
async fn live(seed: u64, concurrent: bool) -> Vec<Vec<(u64, String, u64)>> {
    let disk = sim(seed);
    let mut rng = Seed::new(seed).stream("appends");
    let segment_size = Size::from_bytes(pick(&mut rng, &[4096, 4600, 8192]));
    let config = Config { segment_size, ..small() };
    let open = || FileLog::open_on(Arc::new(disk.process()), FOLDER, config.clone());
    let (mut sent, mut next_id, mut lives) = (Vec::new(), 1, Vec::new());
    for _ in 0..3 {
        let crash = pick(&mut rng, &[Crash::Dropped, Crash::Torn, Crash::Torn, Crash::ProcessOnly]);
        if rng.chance(0.3) {
            disk.power_off_after(rng.below(40));
            drop(open());
            disk.crash(crash);
        }
        let log = open().expect("a log without damage opens");
        match rng.below(8) {
            0 => disk.fail(DiskFault::SyncError { skip: rng.below(20) }),
            1 => disk.fail(DiskFault::WriteError { skip: rng.below(20) }),
            2 => disk.fail(DiskFault::WriteFull { skip: rng.below(20) }),
            3..=5 => disk.power_off_after(rng.below(60)),
            _ => {}
        }
        for _ in 0..rng.below(20) {
            let width = if concurrent { 1 + rng.below(4) } else { 1 };
            let appends: Vec<_> = (0..width)
                .map(|_| {
                    let ids = Vec::from_iter(next_id..=next_id + rng.below(3));
                    next_id += ids.len() as u64;
                    let stream = pick(&mut rng, &["a", "b", "c"]);
                    let levels = [Durability::Durable, Durability::Durable, Durability::Written];
                    (stream, ids, pick(&mut rng, &levels))
                })
                .collect();
            let results = join_all(
                appends.iter().map(|(stream, ids, level)| try_append(&log, stream, ids.clone(), *level)),
            );
            for ((stream, ids, _), result) in appends.iter().zip(results.await) {
                sent.push(Sent { stream, ids: ids.clone(), fate: fate(&result, crash) });
            }
        }
        disk.crash(crash);
        drop(log);
        disk.crash(Crash::ProcessOnly);

        let log = open().expect("a crash is not damage");
        let events = all(&log).await.expect("readable");
        let found: Vec<_> = events
            .iter()
            .map(|e| (e.position.parts().0, e.stream.to_string(), e.event.id().as_u128() as u64))
            .collect();
        check(&found, &mut sent);
        lives.push(found);
        drop(log);
    }
    lives
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

#[test]
fn no_crash_loses_what_was_promised() {
    let runtime = runtime();
    let one =
        std::env::var("STEADFAST_SEED").ok().map(|seed| seed.parse().expect("STEADFAST_SEED is a number"));
    let many = if std::env::var_os("STEADFAST_FULL").is_some() { 20_000 } else { 2_000 };
    for seed in one.map_or(0..many, |seed| seed..seed + 1) {
        let lived = std::panic::catch_unwind(|| runtime.block_on(live(seed, seed % 2 == 1)));
        if let Err(panic) = lived {
            eprintln!("STEADFAST_SEED={seed} shows it again");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn a_seed_lives_the_same_life_twice() {
    let runtime = runtime();
    for seed in (0..40).step_by(2) {
        assert_eq!(runtime.block_on(live(seed, false)), runtime.block_on(live(seed, false)), "seed {seed}");
    }
}
