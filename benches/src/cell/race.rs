//! Several threads that do the same for a while, ours and the peer in turns.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{Options, Row};

/// How often each thread does it in one round.
pub(super) const TURNS: u64 = 500_000;
/// How many rounds are run at least and at most.
const ROUNDS: std::ops::RangeInclusive<usize> = 5..=201;

/// Returns how long one comparison may take.
pub(super) fn budget(options: &Options) -> Duration {
    if options.quick { Duration::from_millis(800) } else { Duration::from_secs(5) }
}

/// What is compared.
pub(super) struct Contest<'a> {
    pub(super) name: &'a str,
    pub(super) peer: &'a str,
    pub(super) wanted: Option<f64>,
    pub(super) threads: u64,
    pub(super) unit: &'a str,
}

impl Contest<'_> {
    /// Runs rounds for as long as `budget` says and makes a row of the one with the median ratio. Each function is
    /// called once by each thread, with its number, and does its work [`TURNS`] times.
    pub(super) fn run(
        &self,
        budget: Duration,
        ours: impl Fn(u64) + Sync,
        peer: impl Fn(u64) + Sync,
    ) -> anyhow::Result<Row> {
        let start = Instant::now();
        let mut rates = Vec::new();
        while rates.len() < *ROUNDS.end() && (rates.len() < *ROUNDS.start() || start.elapsed() < budget) {
            rates.push((self.rate(&ours), self.rate(&peer)));
        }
        rates.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
        let (ours, peer) = *rates.get(rates.len() / 2).context("no round was run")?;
        Ok(Row {
            name: self.name.to_owned(),
            ours,
            peer,
            peer_name: self.peer.to_owned(),
            ratio: ours / peer,
            ratio_wanted: self.wanted,
            unit: self.unit.to_owned(),
        })
    }

    /// Returns how often per second all threads together did it.
    fn rate(&self, work: &(impl Fn(u64) + Sync)) -> f64 {
        let barrier = Barrier::new(self.threads as usize);
        let slowest = std::thread::scope(|scope| {
            let run = |thread| {
                barrier.wait();
                let start = Instant::now();
                work(thread);
                start.elapsed()
            };
            let threads: Vec<_> = (0..self.threads).map(|thread| scope.spawn(move || run(thread))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
        });
        (self.threads * TURNS) as f64 / slowest.as_secs_f64()
    }
}
