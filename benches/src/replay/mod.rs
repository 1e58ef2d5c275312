//! Opening a large file log and reading all of it, beside what reading and checking the bytes takes at least.
//!
//! The log is written by this run, 256-byte events in batches of 64 over 100,000 streams, and read from the page cache.
//! Opening and replaying happen in a process of their own, so that its memory is theirs.

mod child;
mod write;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use steadfast_base::units::Size;

use child::By;

pub(crate) use child::replay_if_asked;

use crate::{Options, Row};

/// How large the log is that is opened, and how many events are replayed.
const OPENED: u64 = 10 << 30;
const REPLAYED: u64 = 10_000_000;
/// Opening is repeated so often, and the median counts.
const OPENINGS: usize = 5;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let part = if options.quick { 10 } else { 1 };
    let target = Path::new("target");
    std::fs::create_dir_all(target).context("the folder `target` cannot be made")?;
    let folder = tempfile::Builder::new().prefix("bench-replay-").tempdir_in(target)?;
    let mut rows = replay(folder.path(), REPLAYED / part)?;
    rows.extend(open(folder.path(), OPENED / part)?);
    Ok(rows)
}

/// Replays a log of `events` events.
fn replay(folder: &Path, events: u64) -> anyhow::Result<Vec<Row>> {
    let place = folder.join("replayed");
    write::write(&place, |written| written.events < events)?;
    let mut rows = Vec::new();
    for (by, how) in [(By::Event, "event by event"), (By::Page, "by page")] {
        rows.extend(replay_by(&place, events, by, how)?);
    }
    Ok(rows)
}

fn replay_by(place: &Path, events: u64, by: By, how: &str) -> anyhow::Result<[Row; 2]> {
    let mut rounds = Vec::new();
    let mut memory = 0.0_f64;
    for _ in 0..3 {
        let bound = bound(place)?;
        let replayed = child::replay(place, by)?;
        anyhow::ensure!(replayed.events >= events, "{} events were replayed", replayed.events);
        memory = memory.max(replayed.anonymous);
        rounds.push((replayed.events as f64 / replayed.took, replayed.events as f64 / bound.as_secs_f64()));
    }
    rounds.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
    let (ours, peer) = rounds[rounds.len() / 2];
    let millions = events as f64 / 1e6;
    Ok([
        Row {
            name: format!("replay of {millions} million events, {how}"),
            ours,
            peer,
            peer_name: "read, CRC and copy".to_owned(),
            ratio: ours / peer,
            ratio_wanted: Some(0.5),
            unit: "events/s".to_owned(),
        },
        at_most(format!("replay of {millions} million, {how}, memory"), memory / 1048576.0, 64.0, "MiB"),
    ])
}

/// Opens a log of `bytes`, which was closed, and which was not.
fn open(folder: &Path, bytes: u64) -> anyhow::Result<Vec<Row>> {
    let place = folder.join("opened");
    let gibibytes = bytes as f64 / (1_u64 << 30) as f64;
    write::write(&place, |written| written.bytes < bytes)?;
    let mut rows = Vec::new();
    for (name, wanted, crashed) in [("closed", 100.0, false), ("crashed", 1000.0, true)] {
        let mut took = Vec::new();
        for _ in 0..OPENINGS {
            took.push(child::open(&place, crashed)?.took * 1e3);
        }
        // The first finds the log as the one before has left it.
        took.remove(0);
        took.sort_by(f64::total_cmp);
        let median = took[took.len() / 2];
        rows.push(at_most(format!("open {gibibytes} GiB, {name}"), median, wanted, "ms"));
    }
    Ok(rows)
}

/// Makes the row of a figure that is to be no more than `wanted`.
fn at_most(name: String, ours: f64, wanted: f64, unit: &str) -> Row {
    Row {
        name,
        ours,
        peer: wanted,
        peer_name: "allowed".to_owned(),
        ratio: wanted / ours,
        ratio_wanted: Some(1.0),
        unit: unit.to_owned(),
    }
}

/// Reads the segments, checks their sum and copies them, which no replay can do without.
fn bound(place: &Path) -> anyhow::Result<Duration> {
    use std::os::unix::fs::FileExt;
    let mut files: Vec<_> = std::fs::read_dir(place)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let chunk = Size::from_mebibytes(1).bytes() as usize;
    let (mut bytes, mut copy) = (vec![0_u8; chunk], vec![0_u8; chunk]);
    let (start, mut sum) = (Instant::now(), 0);
    for path in files {
        let file = std::fs::File::open(path)?;
        let mut at = 0;
        loop {
            let count = file.read_at(&mut bytes, at)?;
            if count == 0 {
                break;
            }
            sum = crc32c::crc32c_append(sum, &bytes[..count]);
            copy[..count].copy_from_slice(&bytes[..count]);
            std::hint::black_box(&copy);
            at += count as u64;
        }
    }
    std::hint::black_box(sum);
    Ok(start.elapsed())
}
