//! Where what is written ends: what can be read there, and what is not looked at behind it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{Disk, DiskFile, DiskLock, OpenMode, RealDisk};
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Filter, Position, Query, Revision};

/// Where the first frame of a segment stands.
const FIRST: u64 = 64;

/// The real disk, of which a test knows how far it is written and read.
#[derive(Debug, Default)]
struct Watched {
    /// The first frame of the first segment waits for this.
    held: Mutex<Option<Receiver<()>>>,
    /// The first frame of any later segment cannot be written.
    later_fail: bool,
    made: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
}

#[derive(Debug)]
struct Handle(Arc<Watched>);

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn DiskFile>,
    disk: Arc<Watched>,
    mode: OpenMode,
    number: u64,
}

impl Disk for Handle {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = RealDisk.open(path, mode)?;
        let is_segment = path.extension().is_some_and(|ending| ending == "new" || ending == "log");
        if !is_segment {
            return Ok(file);
        }
        let made = self.0.made.fetch_add(u64::from(mode == OpenMode::CreateNew), Ordering::SeqCst);
        Ok(Box::new(WatchedFile { file, disk: Arc::clone(&self.0), mode, number: made + 1 }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        RealDisk.sync_dir(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        RealDisk.lock(path)
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.mode == OpenMode::Read {
            self.disk.read.fetch_max(offset + buffer.len() as u64, Ordering::SeqCst);
        }
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset == FIRST && self.number > 1 && self.disk.later_fail {
            return Err(io::Error::other("it fails"));
        }
        let held = self.disk.held.lock().unwrap_or_else(PoisonError::into_inner).take_if(|_| offset == FIRST);
        if let Some(held) = held {
            let _ = held.recv();
        }
        self.disk.written.fetch_max(offset + bytes.len() as u64, Ordering::SeqCst);
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn write_zeros(&self, length: u64) -> io::Result<()> {
        self.file.write_zeros(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

fn batch() -> Batch {
    Batch::to_stream("a", [Event::new("/edge", "edge.met").bytes(vec![b'x'; 256])])
}

fn config(segment_size: &str) -> Config {
    let segment_size = segment_size.parse().expect("a size");
    Config { segment_size, prepare_ahead: false, ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_that_of_what_can_be_read_though_a_commit_failed_half_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let (release, held) = channel();
    let disk = Watched { held: Mutex::new(Some(held)), later_fail: true, ..Watched::default() };
    let log =
        FileLog::open_on(Arc::new(Handle(Arc::new(disk))), folder.path(), config("4KiB")).expect("open");
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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_behind_what_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Watched::default());
    let log =
        FileLog::open_on(Arc::new(Handle(Arc::clone(&disk))), folder.path(), config("8MiB")).expect("open");
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
