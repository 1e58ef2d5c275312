//! The load generator beside `wrk` and k6: the highest rate each gets out of the same server on the same cores.
//!
//! `wrk` is closed-model: it sends as fast as answers come. Ours and k6 are asked for a constant arrival rate, and
//! the highest one at which they keep the schedule is searched. Rounds are interleaved and
//! the median ratio is quoted, for other work on the machine moves the figures more than it moves the ratios.

mod k6;
mod ours;
mod server;
mod wrk;

use std::time::Duration;

use crate::{Options, Row};
use server::Server;
pub(crate) use server::serve_if_asked;

/// Connections of `wrk` and of ours.
const CONNECTIONS: usize = 64;

/// What share of the arrivals asked for must be kept: the limit of a valid run.
const KEPT_MIN: f64 = 1.0 - steadfast_load::SHORTFALL_MAX;

/// Compares the highest rates in several rounds.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let server = Server::start()?;
    let (rounds, span) =
        if options.quick { (1, Duration::from_secs(1)) } else { (3, Duration::from_secs(2)) };
    let (mut against_wrk, mut against_k6) = (Vec::new(), Vec::new());
    let k6 = k6::find();
    if k6.is_none() {
        eprintln!(
            "load: k6 is missing (`cargo xtask bench` obtains it, or set STEADFAST_K6); its row is skipped"
        );
    }
    let has_wrk = wrk::is_there();
    if !has_wrk {
        eprintln!("load: wrk is missing (apt-get install wrk); its row is skipped");
    }
    for round in 1..=rounds {
        let wrk = if has_wrk { Some(wrk::rate_max(&server.url, span)?) } else { None };
        let ours = highest(wrk.unwrap_or(80_000.0) * 0.6, |rate| ours::kept(&server.url, rate, span))?;
        eprint!("load: round {round}: ours {ours:.0}/s");
        if let Some(wrk) = wrk {
            eprint!(", wrk {wrk:.0}/s, ratio {:.2}", ours / wrk);
            against_wrk.push((ours, wrk));
        }
        if let Some(k6) = &k6 {
            let theirs = highest(ours / 6.0, |rate| k6::kept(k6, &server.url, rate, span))?;
            eprint!(", k6 {theirs:.0}/s, ratio {:.2}", ours / theirs);
            against_k6.push((ours, theirs));
        }
        eprintln!();
    }
    let rows =
        [("load/rate-max", "wrk (closed model)", 0.5, against_wrk), ("load/rate-max", "k6", 5.0, against_k6)];
    Ok(rows
        .into_iter()
        .filter_map(|(name, peer_name, wanted, mut rounds)| {
            rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
            let (ours, peer) = *rounds.get(rounds.len() / 2)?;
            Some(Row {
                name: name.to_owned(),
                ours,
                peer,
                peer_name: peer_name.to_owned(),
                ratio: ours / peer,
                ratio_wanted: Some(wanted),
                unit: "requests/s".to_owned(),
            })
        })
        .collect())
}

/// Searches the highest rate that is kept, to a twenty-fifth of it, and returns what was got out of it.
///
/// `kept` returns the rate got, where that is the rate asked for within the limit. A rate is given up when it was
/// not kept twice: what else goes on on the machine is not the generator's failure.
fn highest(guess: f64, mut kept: impl FnMut(u64) -> anyhow::Result<Option<f64>>) -> anyhow::Result<f64> {
    let (mut low, mut high, mut best) = (0.0, f64::INFINITY, 0.0);
    let mut rate = guess;
    while rate >= 100.0 && high - low > low / 25.0 {
        let mut got = kept(rate as u64)?;
        if got.is_none() {
            got = kept(rate as u64)?;
        }
        match got {
            Some(got) => (low, best) = (rate, got),
            None => high = rate,
        }
        rate = match (low > 0.0, high.is_finite()) {
            (true, true) => f64::midpoint(low, high),
            (true, false) => low * 1.4,
            (false, _) => high / 1.4,
        };
    }
    Ok(best)
}
