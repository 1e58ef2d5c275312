//! How much memory an aggregate takes that is in the cache, and what the cache believes it takes.
//!
//! Each figure is that of a process of its own with nothing but a repository over a store that keeps nothing: the
//! anonymous memory that the aggregates have added, as the kernel counts it.

use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use steadfast_core::repository::{Cause, Settings};
use steadfast_core::store::Durability;

use super::account::{accounts, name, uuid};
use super::nothing::Nothing;
use crate::memory::anonymous;
use crate::{Row, progress};

const ASKED: &str = "STEADFAST_BENCH_REPOSITORY";

/// What the process is to do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Asked {
    aggregates: usize,
    /// How many commands each gets, and whether these have keys.
    commands: usize,
    keys: bool,
}

/// What it has found, in bytes for each aggregate.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    measured: f64,
    accounted: f64,
}

/// Measures; `part` says how many times fewer aggregates are to be made.
pub(super) fn run(part: usize) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (aggregates, commands, keys) in
        [(1_000_000, 1, false), (1_000_000, 1, true), (1_000_000, 4, true), (20_000, 300, true)]
    {
        let asked = Asked { aggregates: aggregates / part, commands, keys };
        let keys = match commands {
            _ if !keys => "no key".to_owned(),
            1 => "1 key".to_owned(),
            many => format!("{} keys", many.min(Settings::<()>::default().keys_max)),
        };
        let name = format!("memory, {} aggregates, {keys} each", asked.aggregates);
        progress(&name);
        let Found { measured, accounted } = ask(asked)?;
        rows.push(Row {
            name,
            ours: measured,
            peer: accounted,
            peer_name: "what the cache counts".to_owned(),
            ratio: accounted / measured,
            ratio_wanted: None,
            unit: "bytes each".to_owned(),
        });
    }
    Ok(rows)
}

fn ask(asked: Asked) -> anyhow::Result<Found> {
    let mut child = std::process::Command::new(std::env::current_exe()?);
    let output = child.env(ASKED, serde_json::to_string(&asked)?).output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(said)
}

/// Does what a parent asks for; says whether there was one.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn measure_if_asked() -> anyhow::Result<bool> {
    let Ok(asked) = std::env::var(ASKED) else { return Ok(false) };
    let Asked { aggregates, commands, keys } = serde_json::from_str(&asked)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings =
        Settings { durability: Durability::Accepted, cache_bytes_max: 64 << 30, ..Settings::default() };
    let accounts = accounts(Arc::new(Nothing::default()), settings);
    let before = anonymous()?;
    runtime.block_on(async {
        for command in 0..commands {
            for at in 0..aggregates {
                let cause = if keys {
                    uuid(command as u64, at as u64, |text| Cause::key(text))
                } else {
                    Cause::unknown()
                };
                accounts.execute(&name(at), &1, &cause).await?;
            }
        }
        anyhow::Ok(())
    })?;
    let after = anonymous()?;
    let metrics = accounts.metrics();
    anyhow::ensure!(metrics.cached == aggregates as u64, "{} of {aggregates} are cached", metrics.cached);
    let found = Found {
        measured: (after - before) / aggregates as f64,
        accounted: metrics.cached_bytes as f64 / aggregates as f64,
    };
    println!("{}", serde_json::to_string(&found)?);
    Ok(true)
}
