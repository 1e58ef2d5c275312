//! The process that opens a log and reads it.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use steadfast_backends::file::{Config, FileLog};
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Position, Query};

const ASKED: &str = "STEADFAST_BENCH_REPLAY";

/// What the process is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    place: std::path::PathBuf,
    replay: Option<By>,
    /// It ends without closing the log, after an append.
    crash: bool,
}

/// How a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum By {
    /// `EventStore::read`, which makes an event of each record.
    Event,
    /// `FileLog::replay`, which makes none.
    Page,
}

/// What it has found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) events: u64,
    /// How long it took, in seconds.
    pub(super) took: f64,
    /// The anonymous memory at the end, in bytes.
    pub(super) anonymous: f64,
}

pub(super) fn open(place: &Path, crash: bool) -> anyhow::Result<Found> {
    ask(&Asked { place: place.to_owned(), replay: None, crash })
}

pub(super) fn replay(place: &Path, by: By) -> anyhow::Result<Found> {
    ask(&Asked { place: place.to_owned(), replay: Some(by), crash: false })
}

fn ask(asked: &Asked) -> anyhow::Result<Found> {
    let mut child = std::process::Command::new(std::env::current_exe()?);
    let output = child.env(ASKED, serde_json::to_string(asked)?).output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(said)
}

/// Does what a parent asks for; says whether there was one.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn replay_if_asked() -> anyhow::Result<bool> {
    let Ok(asked) = std::env::var(ASKED) else { return Ok(false) };
    let Asked { place, replay, crash } = serde_json::from_str(&asked)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let start = Instant::now();
    let log = FileLog::open(place, Config::default())?;
    let mut found = Found { events: 0, took: start.elapsed().as_secs_f64(), anonymous: 0.0 };
    if let Some(by) = replay {
        let start = Instant::now();
        found.events = match by {
            By::Event => runtime.block_on(by_event(&log))?,
            By::Page => runtime.block_on(by_page(&log))?,
        };
        found.took = start.elapsed().as_secs_f64();
    }
    found.anonymous = anonymous()?;
    println!("{}", serde_json::to_string(&found)?);
    if crash {
        let event = Event::new("/bench", "bench.crashed").build();
        let batch = Batch::to_stream("crash", [event]);
        runtime.block_on(log.append(batch, Condition::Any, Durability::Durable))?;
        // Nothing is closed, as if the process had been killed.
        std::process::exit(0);
    }
    Ok(true)
}

async fn by_event(log: &FileLog) -> anyhow::Result<u64> {
    let mut events = log.read(Query::default());
    let (mut count, mut bytes) = (0_u64, 0_u64);
    while let Some(event) = events.next().await {
        bytes += event?.event.data().len() as u64;
        count += 1;
    }
    std::hint::black_box(bytes);
    Ok(count)
}

async fn by_page(log: &FileLog) -> anyhow::Result<u64> {
    let mut replay = log.replay(Position::START)?;
    let (mut count, mut bytes) = (0_u64, 0_u64);
    while let Some(page) = replay.next().await? {
        for event in &page {
            let event = event?;
            // What a view looks at: of which stream and type it is, and what it carries.
            bytes += event.data().len() as u64;
            std::hint::black_box((event.stream(), event.kind()));
            count += 1;
        }
    }
    std::hint::black_box(bytes);
    Ok(count)
}

/// Returns the anonymous memory of the process in bytes.
fn anonymous() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0)
}
