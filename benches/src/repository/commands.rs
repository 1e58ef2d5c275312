//! How many commands a second are carried out.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use steadfast_backends::file::{Config, FileLog};
use steadfast_core::repository::{Cause, Settings};
use steadfast_core::store::Durability;
use tokio::task::JoinSet;

use super::account::{Accounts, accounts, name, uuid};
use super::{TASKS, alone};
use crate::{Row, progress};

/// How many commands a second are to be carried out at least.
const WANTED: f64 = 250_000.0;
/// How long one round is.
const ROUND: Duration = Duration::from_millis(100);

/// Which aggregates commands are for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    /// Each task has one of its own.
    Own,
    /// Any, each command another.
    Random,
}

/// What is measured.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) aggregates: usize,
    pub(super) choice: Choice,
    pub(super) keys: bool,
}

impl Case {
    fn name(&self) -> String {
        let aggregates = match (self.choice, self.aggregates) {
            (Choice::Own, _) => "one aggregate each".to_owned(),
            (Choice::Random, 1) => "all on 1 aggregate".to_owned(),
            (Choice::Random, many) => format!("on {many} aggregates"),
        };
        let keys = if self.keys { "keys" } else { "no keys" };
        format!("execute, written, {TASKS} tasks, {aggregates}, {keys}")
    }

    /// Runs rounds of commands, and of appends without a repository where each task has an aggregate.
    pub(super) fn run(&self, folder: &Path, budget: Duration) -> anyhow::Result<Vec<Row>> {
        let title = self.name();
        progress(&title);
        let place = folder.join(title.replace([' ', ','], "-"));
        let log = Arc::new(FileLog::open(&place, Config::default())?);
        let settings =
            Settings { durability: Durability::Written, cache_bytes_max: 4 << 30, ..Settings::default() };
        let commands = Commands {
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
            accounts: Arc::new(accounts(Arc::clone(&log) as _, settings)),
            names: (0..self.aggregates).map(name).collect(),
            keys: self.keys,
            choice: self.choice,
        };
        commands.warm_up()?;
        let alone = alone::Alone::new(log);
        let with_alone = matches!(self.choice, Choice::Own);
        let (start, mut rates, mut round) = (Instant::now(), Vec::new(), 0);
        while rates.len() < 3 || start.elapsed() < budget {
            let ours = commands.round(round)?;
            let peer = if with_alone { alone.round(&commands.runtime, ROUND)? } else { WANTED };
            rates.push((ours, peer));
            round += 1;
        }
        drop(commands);
        drop(alone);
        std::fs::remove_dir_all(&place)?;
        let mut rows = vec![Row {
            name: title.clone(),
            ours: median(rates.iter().map(|(ours, _)| *ours))?,
            peer: WANTED,
            peer_name: "wanted".to_owned(),
            ratio: median(rates.iter().map(|(ours, _)| ours / WANTED))?,
            ratio_wanted: Some(1.0),
            unit: "commands/s".to_owned(),
        }];
        if with_alone {
            rows.push(Row {
                name: title,
                ours: median(rates.iter().map(|(ours, _)| *ours))?,
                peer: median(rates.iter().map(|(_, peer)| *peer))?,
                peer_name: "append to the log alone".to_owned(),
                ratio: median(rates.iter().map(|(ours, peer)| ours / peer))?,
                ratio_wanted: None,
                unit: "commands/s".to_owned(),
            });
        }
        Ok(rows)
    }
}

fn median(values: impl Iterator<Item = f64>) -> anyhow::Result<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("no round was run")
}

struct Commands {
    runtime: tokio::runtime::Runtime,
    accounts: Arc<Accounts>,
    names: Arc<[String]>,
    keys: bool,
    choice: Choice,
}

impl Commands {
    /// Loads all aggregates, and has them remember as many keys as they ever will where there are few.
    fn warm_up(&self) -> anyhow::Result<()> {
        let each = if self.names.len() <= TASKS && self.keys { 300 } else { 1 };
        let (accounts, names, keys) = (Arc::clone(&self.accounts), Arc::clone(&self.names), self.keys);
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..TASKS {
                let (accounts, names) = (Arc::clone(&accounts), Arc::clone(&names));
                tasks.spawn(async move {
                    for at in (task..names.len()).step_by(TASKS) {
                        for number in 0..each {
                            let cause = cause(keys, u64::MAX, (at * each + number) as u64);
                            accounts.execute(&names[at], &1, &cause).await?;
                        }
                    }
                    anyhow::Ok(())
                });
            }
            tasks.join_all().await.into_iter().collect()
        })
    }

    /// Carries out commands for a while, and returns how many a second.
    fn round(&self, round: u64) -> anyhow::Result<f64> {
        let start = Instant::now();
        let end = start + ROUND;
        let done = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..TASKS {
                let (accounts, names) = (Arc::clone(&self.accounts), Arc::clone(&self.names));
                let (keys, choice) = (self.keys, self.choice);
                tasks.spawn(async move {
                    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (round << 32 | (task as u64 + 1));
                    let mut done = 0;
                    while Instant::now() < end {
                        let at = match choice {
                            Choice::Own => task,
                            Choice::Random => next(&mut state, names.len()),
                        };
                        let cause = cause(keys, round << 16 | task as u64, done);
                        accounts.execute(&names[at], &1, &cause).await?;
                        done += 1;
                    }
                    anyhow::Ok(done)
                });
            }
            tasks.join_all().await
        });
        let elapsed = start.elapsed();
        let done = done.into_iter().sum::<anyhow::Result<u64>>()?;
        Ok(done as f64 / elapsed.as_secs_f64())
    }
}

/// What a command is caused by: with `keys`, a key that no other has.
fn cause(keys: bool, high: u64, low: u64) -> Cause {
    if keys { uuid(high, low, |text| Cause::key(text)) } else { Cause::unknown() }
}

/// A number below `count`, by `xorshift`.
fn next(state: &mut u64, count: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    ((u128::from(*state) * count as u128) >> 64) as usize
}
