//! Cells under every order of steps of a few threads, by the model checker `loom`. What
//! `arc-swap` and `tokio::sync::Notify` do is one step each.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p steadfast-core --release --lib cell::model`

use loom::future::block_on;
use loom::thread;

use super::{Cell, Closed};

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// Of two who decide by the same version one wins, and the other sees what it has put.
#[test]
fn a_version_is_replaced_once() {
    model(|| {
        let cell = Cell::new(0);
        let other = cell.clone();
        let thread = thread::spawn(move || other.compare_and_swap(1, 1).map_err(|now| (now.version(), *now)));
        let ours = cell.compare_and_swap(1, 2).map_err(|now| (now.version(), *now));
        let theirs = thread.join().expect("no panic");
        let winner = if ours.is_ok() { 2 } else { 1 };
        let mut outcomes = [ours, theirs];
        outcomes.sort();
        assert_eq!(outcomes, [Ok(2), Err((2, winner))]);
        assert_eq!(*cell.load(), winner);
    });
}

/// Two updates at once are both in the result.
#[test]
fn no_update_is_lost() {
    model(|| {
        let cell = Cell::new(0);
        let other = cell.clone();
        let thread = thread::spawn(move || other.update(|count| count + 1));
        cell.update(|count| count + 10);
        thread.join().expect("no panic");
        assert_eq!((*cell.load(), cell.load().version()), (11, 3));
    });
}

/// A watch sees the last change, then that there will be none; it never sleeps through either.
#[test]
fn the_last_change_is_seen() {
    model(|| {
        let cell = Cell::new(0);
        let mut watch = cell.watch();
        let watcher = thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                match block_on(watch.changed()) {
                    Ok(now) => seen.push(*now),
                    Err(Closed) => return seen,
                }
            }
        });
        cell.set(1);
        cell.set(2);
        drop(cell);
        let seen = watcher.join().expect("no panic");
        assert!(seen.is_sorted());
        assert_eq!(seen.last(), Some(&2));
    });
}
