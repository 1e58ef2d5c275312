//! The file log beside what the disk can do at best, and beside SQLite and PostgreSQL, on the same disk in the same run.
//!
//! Short rounds of ours and of the peer alternate, so that noise meets both, and the round of the median ratio is
//! the result. The raw peer writes, with one `write` and
//! one `fdatasync` each, exactly the batches that our log formed in the round before, of bare 256-byte events,
//! into a file that was written full of zeros beforehand.

mod ours;
mod postgres;
mod raw;
mod recording;
mod rounds;
mod sqlite;

use std::time::Duration;

use self::rounds::{Round, Rounds};
use crate::{Options, Row, servers};

/// The length of an event's data in bytes.
const EVENT: usize = 256;
/// How long one round is, ours and the peer's each.
const ROUND: Duration = Duration::from_millis(40);
/// How many events a second are to be written at least.
const WRITTEN_WANTED: u64 = 1_000_000;

const RAW: &str = "raw write + fdatasync";

/// Runs all comparisons of the log.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let budget = if options.quick { Duration::from_millis(1200) } else { Duration::from_secs(8) };
    let folder = servers::folder("bench-log-")?;
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
        let (appender, worker) = (plural(appenders, "appender"), plural(workers, "thread"));
        let rounds = Rounds::run(format!("log durable, {appender}, {worker}"), RAW, budget, || {
            let (our, batches) = ours.round(ROUND)?;
            Ok((our, raw.replay(&batches, ROUND)?))
        })?;
        rows.extend([rounds.rate(wanted)?, rounds.p99()?, rounds.commits()]);
    }

    // SQLite lets one writer commit at a time, each with a sync of its own; the log, and PostgreSQL, let eight share one.
    let mut sqlite = sqlite::Sqlite::open(&folder.path().join("events.sqlite"))?;
    for (workers, writers) in [(1, 1), (2, 8)] {
        let place = folder.path().join(format!("log-batches-{writers}"));
        let mut ours = ours::Ours::open(&place, workers, writers, 64)?;
        let name = format!("log durable, batches of 64, {}", plural(writers, "writer"));
        let rounds = Rounds::run(&name, RAW, budget, || {
            let (our, batches) = ours.round(ROUND)?;
            Ok((our, raw.replay(&batches, ROUND)?))
        })?;
        rows.extend([rounds.rate(None)?, rounds.p99()?]);
        let rounds = Rounds::run(&name, "SQLite FULL, 1 writer", budget, || {
            Ok((ours.round(ROUND)?.0, sqlite.round(ROUND)?))
        })?;
        rows.push(rounds.rate(5.0)?);
        match postgres::Peer::start(folder.path(), writers) {
            Ok(mut postgres) => {
                let peer = format!("PostgreSQL, {}", plural(writers, "writer"));
                let rounds =
                    Rounds::run(&name, &peer, budget, || Ok((ours.round(ROUND)?.0, postgres.round(ROUND)?)))?;
                rows.push(rounds.rate(3.0)?);
            }
            Err(why) => eprintln!("  {name}: the row beside PostgreSQL is left out: {why:#}"),
        }
    }

    for (workers, writers) in [(1, 1), (2, 8)] {
        let place = folder.path().join(format!("log-written-{writers}"));
        let mut ours = ours::Ours::open(&place, workers, writers, 64)?.written();
        let name = format!("log written, batches of 64, {}", plural(writers, "writer"));
        let wanted =
            || Round { events: WRITTEN_WANTED, elapsed: Duration::from_secs(1), latencies: Vec::new() };
        let rounds = Rounds::run(name, "wanted", budget, || Ok((ours.round(ROUND)?.0, wanted())))?;
        rows.push(rounds.rate(1.0)?);
    }
    Ok(rows)
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
