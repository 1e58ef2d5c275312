//! The bus beside a bare channel of tokio, with the same payload and room, in the same run.
//!
//! Ours is all of it: a typed topic, the queue, the dispatcher with order `Total`, an async function as handler. The
//! peer is `tokio::sync::mpsc` with `send` and `recv` and nothing else. Short rounds of both alternate, so that
//! noise meets both, and the round of the median ratio is the result.

mod keys;
mod ours;
mod peer;
mod waiting;

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{Options, Row};

/// What is published; 64 bytes.
type Payload = [u8; 64];

/// How many messages may wait.
const ROOM: usize = 1024;
/// How many messages one round carries.
const MESSAGES: u64 = 200_000;
/// How many rounds are run at least and at most.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=101;

/// Runs all comparisons of the bus.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let budget = if options.quick { Duration::from_millis(1200) } else { Duration::from_secs(8) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    for (producers, plural) in [(1, ""), (4, "s")] {
        let name = format!("bus, {producers} producer{plural}");
        // Asked for is at most 1.5 times the time.
        rows.push(compare(&name, "tokio mpsc", 1.0 / 1.5, budget, || {
            let ours = runtime.block_on(ours::publish(producers));
            (ours, runtime.block_on(peer::send(producers)))
        })?);
        let name = format!("bus, {producers} producer{plural}, batches of 64");
        rows.push(compare(&name, "tokio mpsc", 1.0, budget, || {
            let ours = runtime.block_on(ours::publish_batches(producers, 64));
            (ours, runtime.block_on(peer::send(producers)))
        })?);
    }
    rows.push(compare("bus, 100,000 keys, 64 handlers, PerKey", "order None", 0.5, budget, || {
        let per_key = runtime.block_on(keys::handle(steadfast_core::delivery::Order::PerKey));
        (per_key, runtime.block_on(keys::handle(steadfast_core::delivery::Order::None)))
    })?);
    rows.extend(runtime.block_on(waiting::bytes())?);
    Ok(rows)
}

/// Runs rounds for as long as `budget` says, each of which gives the time of ours and of the peer for
/// [`MESSAGES`], and makes a row of the one with the median ratio.
fn compare(
    name: &str,
    peer_name: &str,
    wanted: f64,
    budget: Duration,
    mut round: impl FnMut() -> (Duration, Duration),
) -> anyhow::Result<Row> {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < *ROUNDS.end() && (times.len() < *ROUNDS.start() || start.elapsed() < budget) {
        let (ours, peer) = round();
        times.push((ours.as_secs_f64(), peer.as_secs_f64()));
    }
    times.sort_by(|(a, b), (c, d)| (b / a).total_cmp(&(d / c)));
    let (ours, peer) = *times.get(times.len() / 2).context("no round was run")?;
    Ok(Row {
        name: name.to_owned(),
        ours: MESSAGES as f64 / ours,
        peer: MESSAGES as f64 / peer,
        peer_name: peer_name.to_owned(),
        ratio: peer / ours,
        ratio_wanted: Some(wanted),
        unit: "messages/s".to_owned(),
    })
}
