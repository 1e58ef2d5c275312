//! A process that appends is killed at random moments; what it was promised must be there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_backends::file::{Config, FileLog};
use steadfast_base::units::Size;
use steadfast_base::{Seed, disk::RealDisk};
use steadfast_core::store::{Durability, EventStore};

use crate::support::{all, try_append};

const FOLDER: &str = "STEADFAST_KILL_FOLDER";
const FIRST_ID: &str = "STEADFAST_KILL_FIRST_ID";
const APPENDERS: u64 = 4;

fn config() -> Config {
    Config { segment_size: Size::from_bytes(64 << 10), ..Config::default() }
}

/// The process that is killed; a test that does nothing unless it is started by the one below.
#[test]
fn child_appends_until_it_is_killed() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST_ID)) else { return };
    let next = Arc::new(AtomicU64::new(first.parse().expect("a number")));
    let log = Arc::new(FileLog::open_on(Arc::new(RealDisk), folder, config()).expect("opened"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let appenders = (0..APPENDERS).map(|appender| {
            let (log, next) = (Arc::clone(&log), Arc::clone(&next));
            tokio::spawn(async move {
                let level = if appender % 2 == 0 { Durability::Durable } else { Durability::Written };
                loop {
                    let id = next.fetch_add(2, Ordering::Relaxed);
                    let stream = format!("s{appender}");
                    let appended = try_append(&*log, &stream, [id, id + 1], level).await.expect("appended");
                    let position = appended.position.parts().0;
                    // A broken pipe panics, so that the child does not outlive a parent that died.
                    std::io::stdout()
                        .write_all(format!("\nacknowledged {id} {position}\n").as_bytes())
                        .expect("the parent listens");
                }
            })
        });
        futures::future::join_all(appenders.collect::<Vec<_>>()).await;
    });
}

/// Runs the child, kills it after `delay`, and returns the ids it said were acknowledged, with their positions.
fn run_and_kill(folder: &Path, first: u64, delay: Duration, after: usize) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "kill::child_appends_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST_ID, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).split(b'\n');
    let acknowledged = |line: &[u8]| -> Option<(u64, u64)> {
        let line = std::str::from_utf8(line).ok()?.strip_prefix("acknowledged ")?;
        let (id, position) = line.split_once(' ')?;
        Some((id.parse().ok()?, position.parse().ok()?))
    };
    let mut said = Vec::new();
    // Some are killed while they open the log, the others amid their appends.
    while said.len() < after {
        let line = lines.next().expect("the child runs until it is killed").expect("read");
        said.extend(acknowledged(&line));
    }
    std::thread::sleep(delay);
    child.kill().expect("killed");
    let rest: Vec<_> = lines.map(|line| line.expect("read")).collect();
    child.wait().expect("it ended");
    // The last line may be cut off, and a cut number is another number.
    let whole = rest.len().saturating_sub(1);
    said.extend(rest[..whole].iter().filter_map(|line| acknowledged(line)));
    said
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 10 };
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let seed = Seed::random();
    eprintln!("seed {seed}");
    let mut rng = seed.rng();
    let (mut promised, mut first, mut total) = (Vec::new(), 1, 0);
    for round in 0..rounds {
        let after = if round % 4 == 3 { 0 } else { rng.below(300) as usize };
        let delay = Duration::from_micros(rng.below(20_000));
        promised.extend(run_and_kill(folder.path(), first, delay, after));

        let log = FileLog::open(folder.path(), config()).expect("the lock went with the process");
        let events = runtime.block_on(all(&log)).expect("readable");
        for (at, stored) in events.iter().enumerate() {
            assert_eq!(stored.position.parts().0, at as u64 + 1);
        }
        let id_at = |position: u64| events.get(position as usize - 1).map(|e| e.event.id().as_u128() as u64);
        for (id, position) in &promised {
            assert_eq!(id_at(position - 1), Some(*id), "round {round}: {id} was promised at {position}");
            assert_eq!(id_at(*position), Some(id + 1), "round {round}");
        }
        let mut ids: Vec<_> = events.iter().map(|stored| stored.event.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "nothing stands twice");
        assert!(events.len() >= total, "what survived once survives again");
        total = events.len();
        first = ids.last().map_or(1, |last| last.as_u128() as u64 + 1000);
        runtime.block_on(log.close()).expect("closed");
    }
    assert!(promised.len() > rounds, "the children got somewhere");
}
