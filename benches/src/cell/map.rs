//! A value for each key.

use std::hint::black_box;
use std::sync::RwLock;
use std::time::Duration;

use dashmap::DashMap;
use papaya::HashMap;
use steadfast_core::CellMap;

use super::race::{Contest, TURNS};
use crate::Row;

/// How many reads one guard of `papaya` serves where it serves several.
const GUARDED: u64 = 64;

pub(super) fn run(budget: Duration) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for keys in [1_000, 100_000] {
        rows.extend(Maps::new(keys).run(budget)?);
    }
    Ok(rows)
}

struct Maps {
    keys: u64,
    ours: CellMap<u64, u64>,
    papaya: HashMap<u64, u64>,
    dashmap: DashMap<u64, u64>,
    locked: RwLock<std::collections::HashMap<u64, u64>>,
}

impl Maps {
    fn new(keys: u64) -> Self {
        let entries = || (0..keys).map(|key| (key, key));
        Self {
            keys,
            ours: entries().collect(),
            papaya: entries().collect(),
            dashmap: entries().collect(),
            locked: RwLock::new(entries().collect()),
        }
    }

    fn run(&self, budget: Duration) -> anyhow::Result<Vec<Row>> {
        let ours = |thread| each(thread, self.keys, |key| self.ours.get(&key).map(|value| *value));
        let papaya = |thread| each(thread, self.keys, |key| self.papaya.pin().get(&key).copied());
        let dashmap = |thread| each(thread, self.keys, |key| self.dashmap.get(&key).map(|value| *value));
        let locked = |thread| {
            each(thread, self.keys, |key| self.locked.read().ok().and_then(|map| map.get(&key).copied()));
        };
        let mut rows = Vec::new();
        for threads in [1, 2] {
            let plural = if threads == 1 { "" } else { "s" };
            let name = format!("map read, {} keys, {threads} thread{plural}", self.keys);
            // Asked for is at two threads.
            let wanted = (threads == 2).then_some(1.0);
            let contest = |peer, wanted| Contest { name: &name, peer, wanted, threads, unit: "reads/s" };
            rows.push(contest("papaya", wanted).run(budget, ours, papaya)?);
            rows.push(contest("dashmap", wanted).run(budget, ours, dashmap)?);
            let guarded = |thread| self.guarded(thread);
            rows.push(contest("papaya, 64 reads a guard", None).run(budget, ours, guarded)?);
            rows.push(contest("RwLock<HashMap>", None).run(budget, ours, locked)?);
        }

        let name = format!("map, {} keys, 2 threads, 1 in 20 writes", self.keys);
        let contest = |peer| Contest { name: &name, peer, wanted: None, threads: 2, unit: "either/s" };
        let ours = |thread| {
            mixed(
                thread,
                self.keys,
                |key| self.ours.get(&key).map(|value| *value),
                |key, value| self.ours.insert(key, value).is_some(),
            );
        };
        let papaya = |thread| {
            mixed(
                thread,
                self.keys,
                |key| self.papaya.pin().get(&key).copied(),
                |key, value| self.papaya.pin().insert(key, value).is_some(),
            );
        };
        let dashmap = |thread| {
            mixed(
                thread,
                self.keys,
                |key| self.dashmap.get(&key).map(|value| *value),
                |key, value| self.dashmap.insert(key, value).is_some(),
            );
        };
        rows.push(contest("papaya").run(budget, ours, papaya)?);
        rows.push(contest("dashmap").run(budget, ours, dashmap)?);

        let name = format!("map write, {} keys, 1 thread", self.keys);
        let contest = |peer| Contest { name: &name, peer, wanted: None, threads: 1, unit: "writes/s" };
        let ours = |thread| each(thread, self.keys, |key| self.ours.insert(key, key).is_some());
        let papaya = |thread| each(thread, self.keys, |key| self.papaya.pin().insert(key, key).is_some());
        let dashmap = |thread| each(thread, self.keys, |key| self.dashmap.insert(key, key).is_some());
        rows.push(contest("papaya").run(budget, ours, papaya)?);
        rows.push(contest("dashmap").run(budget, ours, dashmap)?);
        Ok(rows)
    }

    fn guarded(&self, thread: u64) {
        let mut keys = Keys::new(thread, self.keys);
        for _ in 0..TURNS / GUARDED {
            let map = self.papaya.pin();
            for _ in 0..GUARDED {
                black_box(map.get(&keys.next()).copied());
            }
        }
    }
}

fn each<T>(thread: u64, keys: u64, mut work: impl FnMut(u64) -> T) {
    let mut keys = Keys::new(thread, keys);
    for _ in 0..TURNS {
        black_box(work(keys.next()));
    }
}

fn mixed<T, U>(thread: u64, keys: u64, mut read: impl FnMut(u64) -> T, mut write: impl FnMut(u64, u64) -> U) {
    let mut keys = Keys::new(thread, keys);
    for turn in 0..TURNS {
        let key = keys.next();
        if turn % 20 == 0 {
            black_box(write(key, turn));
        } else {
            black_box(read(key));
        }
    }
}

/// Keys in an order that costs next to nothing (`xorshift`).
struct Keys {
    state: u64,
    keys: u64,
}

impl Keys {
    fn new(thread: u64, keys: u64) -> Self {
        Self { state: 0x9E37_79B9_7F4A_7C15 ^ (thread + 1), keys }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((u128::from(self.state) * u128::from(self.keys)) >> 64) as u64
    }
}
