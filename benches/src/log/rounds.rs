//! Rounds of ours and of the peer in turns, and the rows that are made of them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;

use crate::{Row, progress};

/// How many rounds are run at least and at most.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=151;

/// What one round did.
pub(super) struct Round {
    pub(super) events: u64,
    pub(super) elapsed: Duration,
    /// How long each append, or each write of the peer, took, in nanoseconds, where that is looked at.
    pub(super) latencies: Vec<u64>,
}

impl Round {
    fn rate(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

/// Rounds of ours and of the peer.
pub(super) struct Rounds {
    name: String,
    peer_name: String,
    rounds: Vec<(Round, Round)>,
}

impl Rounds {
    /// Runs rounds for as long as `budget` says.
    pub(super) fn run(
        name: impl Into<String>,
        peer_name: &str,
        budget: Duration,
        mut round: impl FnMut() -> anyhow::Result<(Round, Round)>,
    ) -> anyhow::Result<Self> {
        let name = name.into();
        progress(&name);
        let start = Instant::now();
        let mut rounds = Vec::new();
        while rounds.len() < *ROUNDS.end() && (rounds.len() < *ROUNDS.start() || start.elapsed() < budget) {
            rounds.push(round()?);
        }
        Ok(Self { name, peer_name: peer_name.to_owned(), rounds })
    }

    /// Returns the round with the median ratio of events per second.
    pub(super) fn rate(&self, ratio_wanted: impl Into<Option<f64>>) -> anyhow::Result<Row> {
        let rates = self.rounds.iter().map(|(ours, peer)| (ours.rate(), peer.rate()));
        let mut rates: Vec<_> = rates.collect();
        rates.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
        let (ours, peer) = *rates.get(rates.len() / 2).context("no round was run")?;
        Ok(Row {
            name: self.name.clone(),
            ours,
            peer,
            peer_name: self.peer_name.clone(),
            ratio: ours / peer,
            ratio_wanted: ratio_wanted.into(),
            unit: "events/s".to_owned(),
        })
    }

    /// Returns how many events our commits had on average, which are those that the peer's writes had.
    pub(super) fn commits(&self) -> Row {
        let (events, writes) = self.rounds.iter().fold((0, 0), |(events, writes), (_, peer)| {
            (events + peer.events, writes + peer.latencies.len())
        });
        Row::alone(format!("{}, events a commit", self.name), events as f64 / writes.max(1) as f64, "events")
    }

    /// Returns the 99th percentiles of how long an append and the peer's write took in all rounds. Asked for is at most
    /// twice the peer's.
    pub(super) fn p99(&self) -> anyhow::Result<Row> {
        let (mut ours, mut peer) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
        for (our_round, peer_round) in &self.rounds {
            our_round.latencies.iter().try_for_each(|latency| ours.record(*latency))?;
            peer_round.latencies.iter().try_for_each(|latency| peer.record(*latency))?;
        }
        let micros = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.99) as f64 / 1e3;
        let (ours, peer) = (micros(&ours), micros(&peer));
        Ok(Row {
            name: format!("{}, p99", self.name),
            ours,
            peer,
            peer_name: self.peer_name.clone(),
            ratio: peer / ours,
            ratio_wanted: Some(0.5),
            unit: "µs".to_owned(),
        })
    }
}
