//! A process that appends, deletes, erases and archives is killed at random moments.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog, survey};
use steadfast_base::Rng;
use steadfast_base::units::Size;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query, StoredEvent};
use steadfast_core::{Event, EventId, testing};

const FOLDER: &str = "STEADFAST_REWRITING_FOLDER";
const FIRST_ID: &str = "STEADFAST_REWRITING_FIRST_ID";
const STREAMS: u64 = 8;

fn open(folder: &Path) -> FileLog {
    // Small segments, so that kills meet their ends.
    let config = Config { segment_size: Size::from_bytes(16 << 10), ..Config::default() };
    FileLog::open(folder, Config { archive_behind: Some(2), ..config })
        .expect("the lock went with the process")
}

fn tell(line: &str) {
    // A broken pipe panics, so that the child does not outlive a parent that died.
    std::io::stdout().write_all(format!("\n{line} .\n").as_bytes()).expect("the parent listens");
}

/// The process that is killed; a test that does nothing unless it is started by the one below.
#[test]
fn child_rewrites_until_it_is_killed() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST_ID)) else { return };
    let first: u64 = first.parse().expect("a number");
    let log = open(Path::new(&folder));
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        for id in first.. {
            let stream = id % STREAMS;
            let event = Event::new("/kill", "e").id(EventId::from_u128(id.into()));
            let batch = Batch::to_stream(format!("s{stream}"), [event.data("text/plain", vec![b'x'; 300])]);
            log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
            tell(&format!("appended {stream} {id}"));
            if id % 11 == 0 {
                let stream = id / 11 % STREAMS;
                tell(&format!("deleting {stream}"));
                log.delete(&format!("s{stream}"), None, Durability::Written).await.expect("deleted");
                tell(&format!("deleted {stream}"));
            }
            if id % 60 == 0 {
                log.erase().await.expect("erased");
            }
        }
    });
}

/// What must be found.
#[derive(Default)]
struct Stream {
    there: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    /// It was being deleted.
    perhaps: bool,
}

#[test]
fn what_was_deleted_and_what_was_not_survive_a_kill_amid_rewriting() {
    // Lives of a log: each round reads all of it and each child goes through all its segments, so that a log that is
    // eight times as old takes far more than eight times as long.
    let lives = if std::env::var_os("STEADFAST_FULL").is_some() { 8 } else { 1 };
    let seed = testing::seed();
    let mut rng = seed.rng();
    for _ in 0..lives {
        live(&mut rng, 60);
    }
}

/// Kills children that write to one log, as often as `rounds` says.
fn live(rng: &mut Rng, rounds: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut streams: BTreeMap<u64, Stream> = BTreeMap::new();
    let mut next = 1;
    for round in 0..rounds {
        for line in run_and_kill(folder.path(), next, rng) {
            let words: Vec<&str> = line.split(' ').collect();
            let numbers: Vec<u64> = words[1..].iter().map(|word| word.parse().expect("a number")).collect();
            let stream = streams.entry(numbers[0]).or_default();
            match words[0] {
                "appended" => {
                    stream.there.insert(numbers[1]);
                    next = next.max(numbers[1] + 1000);
                }
                "deleting" => stream.perhaps = true,
                _ => {
                    stream.gone.append(&mut stream.there);
                    stream.perhaps = false;
                }
            }
        }
        let log = open(folder.path());
        let events: Vec<StoredEvent> =
            runtime.block_on(log.read(Query::default()).try_collect()).expect("readable");
        runtime.block_on(log.close()).expect("closed");
        drop(log);
        for number in 0..STREAMS {
            let of_it = events.iter().filter(|stored| *stored.stream == *format!("s{number}"));
            let found: BTreeSet<u64> = of_it.map(|stored| stored.event.id().as_u128() as u64).collect();
            let stream = streams.entry(number).or_default();
            assert!(found.is_disjoint(&stream.gone), "round {round}: stream {number} was deleted");
            let deleted = stream.perhaps && found.is_disjoint(&stream.there);
            assert!(
                deleted || found.is_superset(&stream.there),
                "round {round}: stream {number} has lost some"
            );
            if deleted {
                stream.gone.append(&mut stream.there);
            }
            (stream.there, stream.perhaps) = (found, false);
        }
        let found = survey(folder.path()).expect("a log");
        assert!(found.damages.is_empty(), "round {round}: {found:?}");
    }
    let found = survey(folder.path()).expect("a log");
    assert!(found.erased > 0 && found.segments.iter().any(|segment| segment.archived), "{found:?}");
}

/// Runs the child, kills it at a random moment, and returns what it said.
fn run_and_kill(folder: &Path, first: u64, rng: &mut Rng) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "kill_rewriting::child_rewrites_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST_ID, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines =
        BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("read"));
    let mut said = Vec::new();
    let after = rng.below(250) as usize;
    // A line that is cut off has no end, and one that has it counts, also the last: a deletion may follow at once.
    let ours = |line: String| {
        let line = line.strip_suffix(" .")?;
        ["appended ", "deleting ", "deleted "]
            .iter()
            .any(|word| line.starts_with(word))
            .then(|| line.to_owned())
    };
    while said.len() < after {
        said.extend(ours(lines.next().expect("the child runs until it is killed")));
    }
    std::thread::sleep(Duration::from_micros(rng.below(20_000)));
    child.kill().expect("killed");
    said.extend(lines.filter_map(ours));
    child.wait().expect("it ended");
    said
}
