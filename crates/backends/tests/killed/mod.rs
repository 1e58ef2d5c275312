//! A process that appends to a store is killed at random moments; what it was promised must be there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_base::Rng;
use steadfast_core::store::{
    Batch, Condition, Durability, EventStore, Expected, Position, Query, Revision, StoredEvent,
};
use steadfast_core::{Event, EventId, testing};

const PLACE: &str = "STEADFAST_KILL_PLACE";
const FIRST_ID: &str = "STEADFAST_KILL_FIRST_ID";
const APPENDERS: u64 = 4;
/// What the streams of an appender are called: the one that it appends to, and the one beside it.
const STREAMS: [&str; 2] = ["s", "t"];

/// Opens the store at a place.
pub(crate) type Open = fn(&Path) -> Arc<dyn EventStore>;

/// What the process does that is killed. Nothing, unless [`survives`] has started it.
pub(crate) fn append_until_killed(open: Open) {
    let (Ok(place), Ok(first)) = (std::env::var(PLACE), std::env::var(FIRST_ID)) else { return };
    let next = Arc::new(AtomicU64::new(first.parse().expect("a number")));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = open(Path::new(&place));
    tell("opened");
    runtime.block_on(async {
        let appenders = (0..APPENDERS).map(|appender| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            tokio::spawn(async move { append(&*store, appender, &next).await })
        });
        futures::future::join_all(appenders.collect::<Vec<_>>()).await;
    });
}

/// Tells the parent. A broken pipe panics, so that the child does not outlive a parent that died.
fn tell(what: &str) {
    std::io::stdout().write_all(format!("\n{what}\n").as_bytes()).expect("the parent listens");
}

/// Appends batches of two for ever: one in four on the condition that its stream is as this appender has left it, and
/// of every eight one whose second half goes to another stream, where the store can do that.
async fn append(store: &dyn EventStore, appender: u64, next: &AtomicU64) {
    let level = if appender.is_multiple_of(2) { Durability::Durable } else { Durability::Written };
    let [stream, beside] = STREAMS.map(|name| format!("{name}{appender}"));
    let mut revision = store.revision(&stream).await.expect("readable");
    for turn in 0_u64.. {
        let id = next.fetch_add(2, Ordering::Relaxed);
        let [one, other] = [id, id + 1].map(|id| {
            let event = Event::new("/kill", "e").id(EventId::from_u128(id.into()));
            event.data("text/plain", vec![b'x'; 200])
        });
        let spans = turn % 8 == 3 && store.capabilities().multi_stream;
        let mut batch = Batch::to_stream(stream.as_str(), [one, other]);
        if spans {
            batch.events[1].stream = beside.as_str().into();
        }
        let condition = match (turn % 4, revision) {
            (0, None) => Condition::stream(stream.as_str(), Expected::NoStream),
            (0, Some(revision)) => Condition::stream(stream.as_str(), Expected::Revision(revision)),
            _ => Condition::Any,
        };
        let appended = store.append(batch, condition, level).await.expect("appended");
        revision = if spans { revision.map(Revision::next) } else { Some(appended.revision) };
        tell(&format!("acknowledged {id} {}", appended.position));
    }
}

/// After how many rounds another store is begun: all of it is read after each.
const ROUNDS_PER_STORE: usize = 50;

/// Kills the test `child`, which calls [`append_until_killed`], `rounds` times at moments drawn from a seed, and checks
/// after each that every acknowledged batch is there, once and whole, that each stream is in order without a gap, and that
/// what one appender appended is in the order in which it did.
pub(crate) fn survives(child: &str, open: Open, rounds: usize) {
    let seed = testing::seed();
    let mut rng = seed.rng();
    for begun in (0..rounds).step_by(ROUNDS_PER_STORE) {
        one_store_survives(child, open, ROUNDS_PER_STORE.min(rounds - begun), &mut rng);
    }
}

fn one_store_survives(child: &str, open: Open, rounds: usize, rng: &mut Rng) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut promised, mut first, mut total) = (Vec::new(), 1, 0);
    let (mut spanned, mut can_span) = (false, false);
    for round in 0..rounds {
        // Some are killed while they start or open the store, some at their first appends, the others amid them.
        let after = match round % 8 {
            3 => After::Start,
            7 => After::Open,
            _ => After::Batches(rng.below(100) as usize),
        };
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
        check_order(&events, round);
        spanned |= events.iter().any(|stored| stored.stream.starts_with(STREAMS[1]));
        assert!(events.len() >= total, "round {round}: what survived once survives again");
        total = events.len();
        can_span = store.capabilities().multi_stream;
        first = places.keys().max().map_or(1, |last| last + 1000);
        runtime.block_on(store.close()).expect("closed");
    }
    assert!(promised.len() > rounds, "the children got somewhere");
    assert_eq!(spanned, can_span, "batches of two streams are there where the store takes them");
}

/// Checks that batches are whole, that each stream is without a gap, and that the batches of an appender stand in the
/// order in which it appended them.
fn check_order(events: &[StoredEvent], round: usize) {
    let mut revisions: HashMap<&str, u64> = HashMap::new();
    let mut newest: HashMap<&str, u128> = HashMap::new();
    for stored in events {
        let next = revisions.entry(&stored.stream).or_default();
        assert_eq!(stored.revision, Revision(*next), "round {round}: {} has a gap", stored.stream);
        *next += 1;
    }
    // Batches are of two: their halves stand next to each other.
    for pair in events.chunks(2) {
        let [one, other] = pair else { panic!("round {round}: half a batch") };
        let (id, appender) = (one.event.id().as_u128(), &one.stream[1..]);
        assert_eq!(id + 1, other.event.id().as_u128(), "round {round}: a batch in two parts");
        assert!(one.stream.starts_with(STREAMS[0]), "round {round}: {id} stands in {}", one.stream);
        assert_eq!(appender, &other.stream[1..], "round {round}: {id} and what follows");
        let before = newest.insert(appender, id);
        assert!(before < Some(id), "round {round}: {id} of appender {appender} stands behind {before:?}");
    }
}

/// When a child is killed.
#[derive(Clone, Copy)]
enum After {
    /// It was started.
    Start,
    /// It has opened the store.
    Open,
    /// It said that so many batches were acknowledged.
    Batches(usize),
}

/// Runs the child, kills it `delay` after what `after` says, and returns all that was acknowledged.
fn run_and_kill(
    child: &str,
    place: &Path,
    first: u64,
    delay: Duration,
    after: After,
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
    let (mut said, mut opened) = (Vec::new(), false);
    loop {
        let enough = match after {
            After::Start => true,
            After::Open => opened,
            After::Batches(count) => said.len() >= count,
        };
        if enough {
            break;
        }
        let line = lines.next().expect("the child runs until it is killed").expect("read");
        opened |= line == b"opened";
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
