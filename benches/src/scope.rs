//! Tasks of a scope beside those of a bare `tokio::task::JoinSet`, in turns in the same run.

use std::time::{Duration, Instant};

use steadfast_base::Deadline;
use steadfast_guard::{Scope, ScopePolicy};
use tokio::task::JoinSet;

use crate::{Options, Row};

/// How many tasks a measurement spawns and joins.
const TASKS: usize = 20_000;
/// How often a measurement polls a task that does nothing but yield.
const POLLS: usize = 100_000;
const FAR: Duration = Duration::from_secs(60);

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rounds = if options.quick { 15 } else { 101 };
    let mut rows = Vec::new();
    for threads in [1, 2] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        for (at_once, is_bounded) in [(1, false), (64, false), (64, true)] {
            let mut results = Vec::new();
            for _ in 0..rounds {
                let peer = runtime.block_on(on_worker(join_set(at_once, is_bounded)))?;
                let ours = runtime.block_on(on_worker(scope(at_once, is_bounded)))?;
                results.push((ours?, peer?));
            }
            results.sort_by(|(a, b), (c, d)| (b / a).total_cmp(&(d / c)));
            let (ours, peer) = results[results.len() / 2];
            let bound = if is_bounded { ", with a deadline" } else { "" };
            rows.push(Row {
                name: format!("scope: {at_once} at a time, {threads} threads{bound}"),
                ours: ours * 1e9,
                peer: peer * 1e9,
                peer_name: "JoinSet".to_owned(),
                ratio: peer / ours,
                ratio_wanted: None,
                unit: "ns for a spawn and its join".to_owned(),
            });
        }
    }
    rows.extend(polls(rounds)?);
    Ok(rows)
}

/// Measures what it adds to a poll that a scope does it, with times and without.
fn polls(rounds: usize) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let untimed = ScopePolicy { slow_poll: None, ..ScopePolicy::default() };
    let mut results = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let bare = async { Ok::<_, anyhow::Error>(tokio::spawn(yields()).await?) };
        results[0].push(runtime.block_on(on_worker(bare))??);
        for (at, policy) in [(1, ScopePolicy::default()), (2, untimed)] {
            let in_scope = async move {
                let scope = Scope::new("bench", policy);
                Ok::<_, anyhow::Error>(scope.spawn_until_closed("bench", yields())?.await?)
            };
            results[at].push(runtime.block_on(on_worker(in_scope))??);
        }
    }
    let [bare, timed, untimed] = results.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    });
    let row = |name: &str, ours: f64| Row {
        name: name.to_owned(),
        ours: ours * 1e9,
        peer: bare * 1e9,
        peer_name: "tokio::spawn".to_owned(),
        ratio: bare / ours,
        ratio_wanted: None,
        unit: "ns for a poll that yields".to_owned(),
    };
    Ok(vec![row("scope: polls, timed", timed), row("scope: polls, not timed", untimed)])
}

/// Returns the seconds that a poll takes.
async fn yields() -> f64 {
    let start = Instant::now();
    for _ in 0..POLLS {
        tokio::task::yield_now().await;
    }
    start.elapsed().as_secs_f64() / POLLS as f64
}

async fn on_worker<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> anyhow::Result<T> {
    Ok(tokio::spawn(work).await?)
}

/// Returns the seconds that a task takes.
async fn scope(at_once: usize, is_bounded: bool) -> anyhow::Result<f64> {
    let scope = Scope::new("bench", ScopePolicy::default());
    let deadline = Deadline::within(FAR);
    let mut tasks = Vec::with_capacity(at_once);
    let start = Instant::now();
    for _ in 0..TASKS / at_once {
        for at in 0..at_once {
            let task = async move { std::hint::black_box(at) };
            tasks.push(if is_bounded {
                scope.spawn("bench", deadline, task)?
            } else {
                scope.spawn_until_closed("bench", task)?
            });
        }
        for task in tasks.drain(..) {
            std::hint::black_box(task.await?);
        }
    }
    let took = start.elapsed();
    anyhow::ensure!(scope.close(FAR).await.is_clean(), "a task is left");
    Ok(took.as_secs_f64() / TASKS as f64)
}

async fn join_set(at_once: usize, is_bounded: bool) -> anyhow::Result<f64> {
    let mut tasks = JoinSet::new();
    let deadline = tokio::time::Instant::now() + FAR;
    let start = Instant::now();
    for _ in 0..TASKS / at_once {
        for at in 0..at_once {
            let task = async move { std::hint::black_box(at) };
            if is_bounded {
                tasks.spawn(async move { tokio::time::timeout_at(deadline, task).await.unwrap_or(0) });
            } else {
                tasks.spawn(task);
            }
        }
        while let Some(joined) = tasks.join_next().await {
            std::hint::black_box(joined?);
        }
    }
    Ok(start.elapsed().as_secs_f64() / TASKS as f64)
}
