//! A process that appends to a store is killed at random moments; what it was promised must be there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_base::{Rng, Seed};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Position, Query, StoredEvent};
use steadfast_core::{Event, EventId};

const PLACE: &str = "STEADFAST_KILL_PLACE";
const FIRST_ID: &str = "STEADFAST_KILL_FIRST_ID";
const APPENDERS: u64 = 4;

/// Opens the store at a place.
pub(crate) type Open = fn(&Path) -> Arc<dyn EventStore>;

/// What the process does that is killed. Nothing, unless [`survives`] has started it.
pub(crate) fn append_until_killed(open: Open) {
    let (Ok(place), Ok(first)) = (std::env::var(PLACE), std::env::var(FIRST_ID)) else { return };
    let next = Arc::new(AtomicU64::new(first.parse().expect("a number")));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = open(Path::new(&place));
    runtime.block_on(async {
        let appenders = (0..APPENDERS).map(|appender| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            tokio::spawn(async move {
                let level = if appender % 2 == 0 { Durability::Durable } else { Durability::Written };
                loop {
                    let id = next.fetch_add(2, Ordering::Relaxed);
                    let events = [id, id + 1].map(|id| {
                        let event = Event::new("/kill", "e").id(EventId::from_u128(id.into()));
                        event.data("text/plain", vec![b'x'; 200])
                    });
                    let batch = Batch::to_stream(format!("s{appender}"), events);
                    let appended = store.append(batch, Condition::Any, level).await.expect("appended");
                    // A broken pipe panics, so that the child does not outlive a parent that died.
                    let told = format!("\nacknowledged {id} {}\n", appended.position);
                    std::io::stdout().write_all(told.as_bytes()).expect("the parent listens");
                }
            })
        });
        futures::future::join_all(appenders.collect::<Vec<_>>()).await;
    });
}

/// After how many rounds another store is begun: all of it is read after each.
const ROUNDS_PER_STORE: usize = 50;

/// Kills the test `child`, which calls [`append_until_killed`], `rounds` times at moments drawn from a seed, and checks
/// after each that every acknowledged batch is there, once and whole, and that each stream is in order.
pub(crate) fn survives(child: &str, open: Open, rounds: usize) {
    let seed = Seed::random();
    eprintln!("seed {seed}");
    let mut rng = seed.rng();
    for begun in (0..rounds).step_by(ROUNDS_PER_STORE) {
        one_store_survives(child, open, ROUNDS_PER_STORE.min(rounds - begun), &mut rng);
    }
}

fn one_store_survives(child: &str, open: Open, rounds: usize, rng: &mut Rng) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut promised, mut first, mut total) = (Vec::new(), 1, 0);
    for round in 0..rounds {
        // Some are killed while they open the store, the others amid their appends.
        let after = if round % 4 == 3 { 0 } else { rng.below(100) as usize };
        let delay = Duration::from_micros(rng.below(20_000));
        promised.extend(run_and_kill(child, folder.path(), first, delay, after));

        let store = open(folder.path());
        let events: Vec<StoredEvent> =
            runtime.block_on(store.read(Query::default()).try_collect()).expect("readable");
        let places: HashMap<u64, Position> =
            events.iter().map(|stored| (stored.event.id().as_u128() as u64, stored.position)).collect();
        assert_eq!(places.len(), events.len(), "round {round}: nothing stands twice");
        for (id, position) in &promised {
            assert!(places.contains_key(id), "round {round}: {id} was promised");
            assert_eq!(
                places.get(&(id + 1)),
                Some(position),
                "round {round}: {id} was promised to end there"
            );
        }
        // Batches are of two: their halves stand next to each other.
        for pair in events.chunks(2) {
            let [one, other] = pair else { panic!("round {round}: half a batch") };
            assert_eq!(
                one.event.id().as_u128() + 1,
                other.event.id().as_u128(),
                "round {round}: a batch in two parts"
            );
            assert_eq!((&one.stream, one.revision.next()), (&other.stream, other.revision), "round {round}");
        }
        assert!(events.len() >= total, "round {round}: what survived once survives again");
        total = events.len();
        first = places.keys().max().map_or(1, |last| last + 1000);
        runtime.block_on(store.close()).expect("closed");
    }
    assert!(promised.len() > rounds, "the children got somewhere");
}

/// Runs the child, kills it `delay` after it said that `after` batches were acknowledged, and returns all that were.
fn run_and_kill(
    child: &str,
    place: &Path,
    first: u64,
    delay: Duration,
    after: usize,
) -> Vec<(u64, Position)> {
    let mut child = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", child, "--nocapture"])
        .env(PLACE, place)
        .env(FIRST_ID, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).split(b'\n');
    let acknowledged = |line: &[u8]| -> Option<(u64, Position)> {
        let line = std::str::from_utf8(line).ok()?.strip_prefix("acknowledged ")?;
        let (id, position) = line.split_once(' ')?;
        Some((id.parse().ok()?, position.parse().ok()?))
    };
    let mut said = Vec::new();
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
