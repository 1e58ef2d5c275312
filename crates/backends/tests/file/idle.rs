//! Subscribers that have nothing to do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicIsize, Ordering};

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::units::Size;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Filter, Position};

/// How many bytes the process has asked for and not given back.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]
// SAFETY: Each call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
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

const FOLDER: &str = "STEADFAST_IDLE_FOLDER";
const SUBSCRIBERS: usize = 8;
const EVENTS: usize = 3000;

#[test]
fn subscribers_that_wait_keep_no_buffers() {
    let folder = tempfile::tempdir().expect("a folder");
    // In a process of its own, where nobody else takes memory.
    let output = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "idle::child_subscribes_and_waits", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("it held"), "{said}");
}

/// Does nothing unless it is started by the test above.
#[tokio::test]
async fn child_subscribes_and_waits() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let config = Config { segment_size: Size::from_mebibytes(8), ..Config::default() };
    let log = FileLog::open(Path::new(&folder), config).expect("opened");
    for _ in 0..EVENTS / 100 {
        let events = (0..100).map(|_| Event::new("/test", "tested").bytes(vec![b'x'; 1000]));
        let batch = Batch::to_stream("a", events);
        log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
    }
    for filter in [Filter::all(), Filter::stream("a")] {
        let before = LIVE.load(Ordering::Relaxed);
        let mut subscribers = Vec::new();
        for _ in 0..SUBSCRIBERS {
            let mut events = log.subscribe(filter.clone(), Position::START);
            for _ in 0..EVENTS {
                events.try_next().await.expect("readable").expect("it goes on");
            }
            // It begins to wait when it is asked for what is not there yet.
            assert!(futures::poll!(events.try_next()).is_pending());
            subscribers.push(events);
        }
        let each = (LIVE.load(Ordering::Relaxed) - before) / SUBSCRIBERS as isize;
        assert!(each < 16 << 10, "{each} bytes for each subscriber, with {filter:?}");
    }
    eprintln!("it held");
}
