//! How much of large events is in memory at a time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use futures::{StreamExt, TryStreamExt};
use steadfast_backends::sqlite::store::{Config, SqliteStore};
use steadfast_core::Event;
use steadfast_core::projection::{MemoryView, Projector, Settings};
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, EventStore, Filter, Position, Query, StoredEvent,
};

/// How many bytes the process has asked for and not given back, and the most there were.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]
// SAFETY: Each call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed) + layout.size() as isize;
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: The caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: The caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FOLDER: &str = "STEADFAST_LARGE_FOLDER";
const MIB: usize = 1 << 20;
/// So many small events stand first that as many as can be are asked for behind them.
const SMALL: usize = 300;
const LARGE: usize = 48;
/// What a chunk may have, the event that fills it up, and a copy of one under way, with room to spare.
const CHUNK_MAX: isize = 8 << 20;

#[test]
fn large_events_are_in_memory_a_few_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    // In a process of its own, where nobody else takes memory.
    let output = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "large::child_reads_large_events", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("it held"), "{said}");
}

/// Does nothing unless it is started by the test above.
#[tokio::test]
async fn child_reads_large_events() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = SqliteStore::open(Config::at(Path::new(&folder).join("events.db"))).await.expect("opened");
    let small = (0..SMALL).map(|_| Event::new("/large", "small").build());
    append(&store, Batch::to_stream("s", small)).await;
    for _ in 0..LARGE {
        let large = Event::new("/large", "large").data("text/plain", vec![b'x'; MIB]);
        append(&store, Batch::to_stream("s", [large])).await;
    }
    for direction in [Direction::Forward, Direction::Backward] {
        for query in [Query::default(), Query::stream("s")] {
            let read = count(store.read(Query { direction, ..query }));
            assert!(peak(read).await <= CHUNK_MAX);
        }
    }
    let follows = count(store.subscribe(Filter::all(), Position::START).take(SMALL + LARGE));
    assert!(peak(follows).await <= CHUNK_MAX);

    let sum = |sum: &mut usize, stored: &StoredEvent| {
        *sum += stored.event.data().len();
        Ok::<_, Infallible>(())
    };
    let view = Arc::new(MemoryView::new(0, sum));
    let projector = Projector::new("sum", Arc::new(store), Arc::clone(&view), Settings::default());
    // What is applied, and what was read meanwhile.
    assert!(peak(async { projector.catch_up().await.expect("applied") }).await <= 2 * CHUNK_MAX);
    assert_eq!(view.look(|sum| *sum), LARGE * MIB);
    eprintln!("it held");
}

async fn append(store: &SqliteStore, batch: Batch) {
    store.append(batch, Condition::Any, Durability::Written).await.expect("appended");
}

/// Returns how many bytes more there were at a time, while `work` was done, than before.
async fn peak(work: impl Future<Output = ()>) -> isize {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work.await;
    let peak = PEAK.load(Ordering::Relaxed) - before;
    eprintln!("at most {peak} bytes");
    peak
}

async fn count(events: impl futures::Stream<Item = Result<StoredEvent, steadfast_core::store::Error>>) {
    let mut events = std::pin::pin!(events);
    let mut found = 0;
    while events.try_next().await.expect("readable").is_some() {
        found += 1;
    }
    assert_eq!(found, SMALL + LARGE);
}
