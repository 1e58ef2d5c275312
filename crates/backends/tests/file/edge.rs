//! Where what is written ends: what can be read there, and what is not looked at behind it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{DiskFile, OpenMode, RealDisk};
use steadfast_core::Event;
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Filter, Outcome, Position, Query, Revision,
};

use crate::support::{FOLDER, sim};
use crate::through::{Through, Way};

/// Where the first frame of a segment stands.
const FIRST: u64 = 64;

/// Knows how far the disk is written and read.
#[derive(Debug, Default)]
struct Watched {
    /// The first frame of the first segment waits for this.
    held: Mutex<Option<Receiver<()>>>,
    /// It waits.
    holds: AtomicBool,
    /// The first frame of any later segment cannot be written.
    later_fail: bool,
    made: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
}

/// A segment: how it was opened, and how many were made before. None for other files.
type Segment = Option<(OpenMode, u64)>;

impl Way for Watched {
    type Known = Segment;

    fn opens(&self, path: &Path, mode: OpenMode) -> Segment {
        path.extension().filter(|ending| *ending == "new" || *ending == "log")?;
        Some((mode, self.made.fetch_add(u64::from(mode == OpenMode::CreateNew), Ordering::SeqCst)))
    }

    fn read(
        &self,
        known: &Segment,
        file: &dyn DiskFile,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        if let Some((OpenMode::Read, _)) = known {
            self.read.fetch_max(offset + buffer.len() as u64, Ordering::SeqCst);
        }
        file.read_at(buffer, offset)
    }

    fn write(&self, known: &Segment, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some((_, before)) = known {
            if offset == FIRST && *before > 0 && self.later_fail {
                return Err(io::Error::other("it fails"));
            }
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take_if(|_| offset == FIRST);
            if let Some(held) = held {
                self.holds.store(true, Ordering::SeqCst);
                let _ = held.recv_timeout(Duration::from_secs(60));
            }
            self.written.fetch_max(offset + bytes.len() as u64, Ordering::SeqCst);
        }
        file.write_all_at(bytes, offset)
    }
}

fn open(disk: &Through<Watched>, folder: &Path, segment_size: &str) -> FileLog {
    let segment_size = segment_size.parse().expect("a size");
    let config = Config { segment_size, prepare_ahead: false, ..Config::default() };
    FileLog::open_on(Arc::new(disk.clone()), folder, config).expect("open")
}

fn batch() -> Batch {
    Batch::to_stream("a", [Event::new("/edge", "edge.met").bytes(vec![b'x'; 256])])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_that_of_what_can_be_read_though_a_commit_failed_half_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let (release, held) = channel();
    let watched = Watched { held: Mutex::new(Some(held)), later_fail: true, ..Watched::default() };
    let disk = Through::new(watched, Arc::new(RealDisk));
    let log = open(&disk, folder.path(), "4KiB");
    // While the first is held, the others come together, and end in the next segment.
    for _ in 0..20 {
        log.append(batch(), Condition::Any, Durability::Accepted).await.expect("accepted");
    }
    release.send(()).expect("it is held");
    log.append(batch(), Condition::Any, Durability::Durable).await.expect_err("the next segment fails");

    let head = log.head().await.expect("known").parts().0;
    assert!(head > 5, "what stands in the first segment is written: {head}");
    assert_eq!(log.revision("a").await.expect("known"), Some(Revision(head - 1)));
    let read: Vec<_> = log.read(Query::default()).collect().await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    assert_eq!(read.len() as u64, head);
}

/// In memory the stream is deleted as soon as that is queued: whether it will be is open when it could not be written.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_for_which_there_was_no_room_is_left_open() {
    let room = sim(1);
    let (release, held) = channel();
    let watched = Watched { held: Mutex::new(Some(held)), ..Watched::default() };
    let disk = Through::new(watched, Arc::new(room.process()));
    let log = open(&disk, Path::new(FOLDER), "4KiB");
    let large = |stream| Batch::to_stream(stream, [Event::new("/edge", "edge.met").bytes(vec![b'x'; 3000])]);
    log.append(large("a"), Condition::Any, Durability::Accepted).await.expect("accepted");
    let holding = async {
        while !disk.way.holds.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), holding).await.expect("it is being written");
    // While that is held, these come together, in the next segment.
    log.append(large("b"), Condition::Any, Durability::Accepted).await.expect("accepted");
    room.limit_space(Some(0));
    let release = async { release.send(()).expect("it is held") };
    let deleted = log.delete("a", None, Durability::Durable);
    let added = log.append(large("c"), Condition::Any, Durability::Durable);
    let (deleted, added, ()) = futures::join!(deleted, added, release);
    assert!(matches!(added, Err(Error::Full)), "{added:?}");
    let deleted = deleted.expect_err("there is no room");
    assert_eq!(deleted.outcome(), Outcome::Unknown, "{deleted}");
}

/// A disk that panics when it is written to, once it is told to.
#[derive(Debug, Default)]
struct Panics(AtomicBool);

impl Way for Panics {
    type Known = ();

    fn opens(&self, _: &Path, _: OpenMode) {}

    fn write(&self, (): &(), file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert!(!self.0.load(Ordering::SeqCst), "as the test wants it");
        file.write_all_at(bytes, offset)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_hears_of_a_writer_that_panics() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Through::new(Panics::default(), Arc::new(RealDisk));
    let open = || FileLog::open_on(Arc::new(disk.clone()), folder.path(), Config::default());
    let log = open().expect("opened");
    log.append(batch(), Condition::Any, Durability::Durable).await.expect("appended");
    disk.way.0.store(true, Ordering::SeqCst);
    let waiting = log.append(batch(), Condition::Any, Durability::Durable);
    let failed = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it hears of it");
    let failed = failed.expect_err("it is not durable");
    assert_eq!(failed.outcome(), Outcome::Unknown, "{failed}");
    let refused = log.append(batch(), Condition::Any, Durability::Accepted).await;
    assert!(matches!(refused, Err(Error::Poisoned)), "{refused:?}");
    disk.way.0.store(false, Ordering::SeqCst);
    log.close().await.expect_err("not all is safe");
    drop(log);
    let log = open().expect("opened again");
    assert_eq!(log.head().await.expect("known").parts().0, 1);
    // The mark of closing is written too.
    log.append(batch(), Condition::Any, Durability::Accepted).await.expect("accepted");
    log.append(batch(), Condition::Any, Durability::Durable).await.expect("appended");
    disk.way.0.store(true, Ordering::SeqCst);
    let closed = tokio::time::timeout(Duration::from_secs(30), log.close()).await.expect("it hears of it");
    closed.expect_err("it is not marked as closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_behind_what_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Through::new(Watched::default(), Arc::new(RealDisk));
    let log = open(&disk, folder.path(), "8MiB");
    let disk = disk.way;
    // Opening looks for a torn tail.
    disk.read.store(0, Ordering::SeqCst);
    let mut all = log.subscribe(Filter::all(), Position::START);
    let mut stream =
        log.subscribe(Filter { streams: vec!["a".into()], ..Filter::default() }, Position::START);
    for _ in 0..50 {
        log.append(batch(), Condition::Any, Durability::Written).await.expect("written");
        for events in [&mut all, &mut stream] {
            events.next().await.expect("one").expect("it can be read");
        }
        let (read, written) = (disk.read.load(Ordering::SeqCst), disk.written.load(Ordering::SeqCst));
        assert!(0 < read && read <= written, "read to {read}, written to {written}");
    }
}
