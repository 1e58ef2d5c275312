//! One value.

use std::hint::black_box;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use steadfast_core::Cell;

use super::race::{Contest, TURNS};
use crate::Row;

/// What is held: 64 bytes, of which a reader looks at some.
type Value = [u64; 8];

const VALUE: Value = [7; 8];

/// Asked for is at most 1.2 times the time of `arc-swap`.
const WANTED: f64 = 1.0 / 1.2;

pub(super) fn run(budget: Duration) -> anyhow::Result<Vec<Row>> {
    let (cell, bare) = (Cell::new(VALUE), ArcSwap::from_pointee(VALUE));
    let (mutex, lock) = (Mutex::new(Arc::new(VALUE)), RwLock::new(Arc::new(VALUE)));
    let (sender, receiver) = tokio::sync::watch::channel(VALUE);
    let ours = |_| repeat(|_| cell.load()[3]);

    let mut rows = Vec::new();
    for threads in [1, 2] {
        let name = format!("cell read, {threads} thread{}", if threads == 1 { "" } else { "s" });
        let contest = |peer, wanted| Contest { name: &name, peer, wanted, threads, unit: "reads/s" };
        rows.push(contest("arc-swap load", Some(WANTED)).run(budget, ours, |_| repeat(|_| bare.load()[3]))?);
        let read = |_| repeat(|_| sender.borrow()[3]);
        rows.push(contest("tokio watch borrow", None).run(budget, ours, read)?);
        let read = |_| repeat(|_| lock.read().map_or(0, |value| value[3]));
        rows.push(contest("RwLock read", None).run(budget, ours, read)?);
        let read = |_| repeat(|_| mutex.lock().map_or(0, |value| value[3]));
        rows.push(contest("Mutex lock", None).run(budget, ours, read)?);
    }

    let contest = |name, peer| Contest { name, peer, wanted: None, threads: 1, unit: "writes/s" };
    let ours = |_| repeat(|turn| cell.replace([turn; 8]));
    let write = |_| repeat(|turn| drop(bare.swap(Arc::new([turn; 8]))));
    rows.push(contest("cell replace, 1 thread", "arc-swap swap").run(budget, ours, write)?);
    let write = |_| repeat(|turn| sender.send([turn; 8]).is_ok());
    rows.push(contest("cell replace, 1 thread", "tokio watch send").run(budget, ours, write)?);
    drop(receiver);

    // The first thread writes, the second reads.
    let contest = |peer| Contest {
        name: "cell, 1 thread reads, 1 replaces",
        peer,
        wanted: None,
        threads: 2,
        unit: "either/s",
    };
    let ours = |thread| match thread {
        0 => repeat(|turn| cell.replace([turn; 8])),
        _ => repeat(|_| cell.load()[3]),
    };
    let peer = |thread| match thread {
        0 => repeat(|turn| drop(bare.swap(Arc::new([turn; 8])))),
        _ => repeat(|_| bare.load()[3]),
    };
    rows.push(contest("arc-swap").run(budget, ours, peer)?);
    let peer = |thread| match thread {
        0 => repeat(|turn| {
            mutex.lock().map_or(0, |mut value| std::mem::replace(&mut *value, Arc::new([turn; 8]))[3])
        }),
        _ => repeat(|_| mutex.lock().map_or(0, |value| value[3])),
    };
    rows.push(contest("Mutex").run(budget, ours, peer)?);
    Ok(rows)
}

fn repeat<T>(mut work: impl FnMut(u64) -> T) {
    for turn in 0..TURNS {
        black_box(work(turn));
    }
}
