//! The file log beside what the disk can do at best, and beside SQLite, on the same disk in the same run.
//!
//! Short rounds of ours and of the peer alternate, so that noise meets both, and the round of the median ratio is
//! the result. The raw peer writes, with one `write` and
//! one `fdatasync` each, exactly the batches that our log formed in the round before, of bare 256-byte events,
//! into a file that was written full of zeros beforehand.

mod ours;
mod raw;
mod recording;
mod sqlite;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{Options, Row};

/// The length of an event's data in bytes.
const EVENT: usize = 256;

/// What one round did.
struct Round {
    events: u64,
    elapsed: Duration,
}

impl Round {
    fn rate(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

/// How long one round is, ours and the peer's each.
const ROUND: Duration = Duration::from_millis(40);
/// How many events a second are to be written at least.
const WRITTEN_WANTED: u64 = 1_000_000;
/// How many rounds are run at least and at most.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=151;

/// Runs all comparisons of the log.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let budget = if options.quick { Duration::from_millis(1200) } else { Duration::from_secs(8) };
    // Not the folder for temporary files, which may be in memory.
    let target = Path::new("target");
    std::fs::create_dir_all(target).context("the folder `target` cannot be made")?;
    let folder = tempfile::Builder::new().prefix("bench-log-").tempdir_in(target)?;
    let mut raw = raw::Raw::prepare(&folder.path().join("raw"))?;

    let mut rows = Vec::new();
    // The log writes on a thread of its own. Fewer threads for the appenders give it a core, more encode faster:
    // which is better depends on how many append, so both are shown.
    for (workers, appenders, wanted) in [
        (1, 1, 0.75),
        (1, 8, 0.85),
        (1, 64, 0.85),
        (1, 512, 0.85),
        (2, 1, 0.75),
        (2, 8, 0.85),
        (2, 64, 0.85),
        (2, 512, 0.85),
    ] {
        let place = folder.path().join(format!("log-{workers}-{appenders}"));
        let mut ours = ours::Ours::open(&place, workers, appenders, 1)?;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let name = format!(
            "log durable, {appenders} appender{}, {workers} thread{}",
            plural(appenders),
            plural(workers)
        );
        let row = compare(name, "raw write + fdatasync", wanted, budget, || {
            let (our, batches) = ours.round(ROUND)?;
            Ok((our, raw.replay(&batches, ROUND)?))
        });
        rows.push(row?);
    }

    let mut sqlite = sqlite::Sqlite::open(&folder.path().join("events.sqlite"))?;
    let mut ours = ours::Ours::open(&folder.path().join("log-batches"), 1, 1, 64)?;
    let name = "log durable, batches of 64".to_owned();
    let row = compare(name, "SQLite FULL, batches of 64", 5.0, budget, || {
        Ok((ours.round(ROUND)?.0, sqlite.round(ROUND)?))
    });
    rows.push(row?);
    // SQLite lets one writer commit at a time, each with a sync of its own; the log lets eight share one.
    let mut ours = ours::Ours::open(&folder.path().join("log-writers"), 2, 8, 64)?;
    let name = "log durable, batches of 64, 8 writers".to_owned();
    let row = compare(name, "SQLite FULL, batches of 64", 5.0, budget, || {
        Ok((ours.round(ROUND)?.0, sqlite.round(ROUND)?))
    });
    rows.push(row?);
    for (workers, writers) in [(1, 1), (2, 8)] {
        let place = folder.path().join(format!("log-written-{writers}"));
        let mut ours = ours::Ours::open(&place, workers, writers, 64)?.written();
        let plural = if writers == 1 { "" } else { "s" };
        let name = format!("log written, batches of 64, {writers} writer{plural}");
        let wanted = || Round { events: WRITTEN_WANTED, elapsed: Duration::from_secs(1) };
        rows.push(compare(name, "wanted", 1.0, budget, || Ok((ours.round(ROUND)?.0, wanted())))?);
    }
    Ok(rows)
}

/// Runs rounds for as long as `budget` says and makes a row of the one with the median ratio.
fn compare(
    name: String,
    peer_name: &str,
    wanted: f64,
    budget: Duration,
    mut round: impl FnMut() -> anyhow::Result<(Round, Round)>,
) -> anyhow::Result<Row> {
    let start = Instant::now();
    let mut rates = Vec::new();
    while rates.len() < *ROUNDS.end() && (rates.len() < *ROUNDS.start() || start.elapsed() < budget) {
        let (ours, peer) = round()?;
        rates.push((ours.rate(), peer.rate()));
    }
    rates.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
    let (ours, peer) = *rates.get(rates.len() / 2).context("no round was run")?;
    Ok(Row {
        name,
        ours,
        peer,
        peer_name: peer_name.to_owned(),
        ratio: ours / peer,
        ratio_wanted: Some(wanted),
        unit: "events/s".to_owned(),
    })
}
