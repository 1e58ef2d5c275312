//! Logs written by every version so far stay readable.
//!
//! `STEADFAST_WRITE_FIXTURE=1` writes the fixture of the present version anew; commit it under a new name when
//! the version goes up, and keep the old ones.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use steadfast_backends::file::FileLog;
use steadfast_base::TraceContext;
use steadfast_base::disk::{Disk, OpenMode};
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, NewEvent, Revision};
use steadfast_core::{Event, EventId};

use crate::support::{FOLDER, all, append, open, sim, small};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The batches of the fixture of version 1: every attribute, an empty event, several streams, two segments.
fn batches() -> Vec<Batch> {
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789);
    let trace: TraceContext =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("valid");
    let new = |stream: &str, id: u128, kind: &str| {
        let event = Event::restore(EventId::from_u128(id), "/orders", kind.to_owned(), time);
        (stream.to_owned(), event)
    };
    let finish = |(stream, event): (String, Event)| NewEvent { stream: stream.into(), event };
    let (stream, event) = new("order-1", 1, "order.created");
    let full = event
        .subject("order-1")
        .data_schema("https://example.com/order")
        .extension("tenant", "blue")
        .extension("zone", "ä")
        .trace(trace)
        .data("application/json", r#"{"total":"12.34 EUR"}"#);
    let (other, bare) = new("stock", 2, "stock.reserved");
    let mut batches = vec![Batch { events: vec![finish((stream, full)), finish((other, bare.build()))] }];
    batches.extend((3..8).map(|id| {
        let (stream, event) = new("order-1", id, "order.noted");
        let before_1970 = event.time(SystemTime::UNIX_EPOCH - Duration::from_millis(1500));
        Batch { events: vec![finish((stream, before_1970.bytes(vec![id as u8; 1000])))] }
    }));
    batches
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the fixture is there") {
        let entry = entry.expect("readable");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Opens a copy of a fixture, for opening may write.
fn opened(name: &str) -> (tempfile::TempDir, FileLog) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&fixture(name), folder.path());
    let log = FileLog::open(folder.path(), small()).expect("opened");
    (folder, log)
}

#[tokio::test]
async fn version_1_stays_readable() {
    let (_folder, log) = opened("file-v1");
    let found = all(&log).await.expect("readable");
    let expected: Vec<NewEvent> = batches().into_iter().flat_map(|batch| batch.events).collect();
    assert_eq!(found.len(), expected.len());
    for (at, (stored, new)) in found.iter().zip(&expected).enumerate() {
        assert_eq!((&stored.stream, &stored.event), (&new.stream, &new.event));
        assert_eq!(stored.position.parts().0, at as u64 + 1);
    }
    assert_eq!(log.revision("order-1").await.expect("open"), Some(Revision(5)));
    let more = Batch::to_stream("order-1", [Event::new("/orders", "order.noted").build()]);
    let appended = log.append(more, Condition::Any, Durability::Durable).await.expect("appended");
    assert_eq!(appended.revision, Revision(6));
}

/// A deletion begins a new segment there.
#[tokio::test]
async fn deleting_from_version_1_on_a_full_disk_fails_alone() {
    let disk = sim(1);
    let process = disk.process();
    process.create_dir_all(FOLDER.as_ref()).expect("made");
    for entry in std::fs::read_dir(fixture("file-v1")).expect("the fixture is there") {
        let path = entry.expect("readable").path();
        let name = Path::new(FOLDER).join(path.file_name().expect("a name"));
        let (file, bytes) = (process.open(&name, OpenMode::CreateNew), std::fs::read(&path).expect("read"));
        file.expect("made").write_all_at(&bytes, 0).expect("written");
    }
    let log = open(&disk).expect("opened");
    disk.limit_space(Some(0));
    let full = log.delete("stock", None, Durability::Durable).await;
    assert!(matches!(full, Err(Error::Full)), "{full:?}");
    append(&log, "stock", [1000]).await;
    disk.limit_space(None);
    let deleted = log.delete("stock", None, Durability::Durable).await.expect("deleted");
    assert_eq!(deleted.events, 2);
    log.close().await.expect("closed");
}

/// Writes the fixture of version 2: what that of version 1 has, the deletion of a stream, and another event in it.
async fn write_version_2(folder: &Path) {
    let log = FileLog::open(folder, small()).expect("opened");
    for batch in batches() {
        log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    }
    log.delete("stock", None, Durability::Durable).await.expect("deleted");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let again = Event::restore(EventId::from_u128(100), "/orders", "stock.reserved", time).build();
    let batch = Batch::to_stream("stock", [again]);
    log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    log.close().await.expect("closed");
    drop(log);
    std::fs::remove_file(folder.join("lock")).expect("removed");
}

#[tokio::test]
async fn version_2_stays_readable() {
    let fixture = fixture("file-v2");
    if std::env::var_os("STEADFAST_WRITE_FIXTURE").is_some() {
        let _ = std::fs::remove_dir_all(&fixture);
        write_version_2(&fixture).await;
    }
    let (_folder, log) = opened("file-v2");
    let found = all(&log).await.expect("readable");
    let expected: Vec<NewEvent> = batches().into_iter().flat_map(|batch| batch.events).collect();
    assert_eq!(found.len(), expected.len(), "one is deleted, and one was appended after that");
    assert!(
        found[..6]
            .iter()
            .map(|stored| &stored.event)
            .eq(expected.iter().filter(|new| &*new.stream != "stock").map(|new| &new.event))
    );
    assert_eq!((&*found[6].stream, found[6].revision), ("stock", Revision(1)));
    assert_eq!(log.revision("stock").await.expect("open"), Some(Revision(1)));
}

/// Archived segments have a version of their own. Another zstd may write other bytes, so they are only read.
#[tokio::test]
async fn archived_segments_of_version_3_stay_readable() {
    let fixture = fixture("file-v3-archived");
    if std::env::var_os("STEADFAST_WRITE_FIXTURE").is_some() {
        let _ = std::fs::remove_dir_all(&fixture);
        write_version_2(&fixture).await;
        let log = FileLog::open(&fixture, small()).expect("opened");
        assert_eq!(log.archive(0).await.expect("archived").segments, 1);
        log.close().await.expect("closed");
        drop(log);
        std::fs::remove_file(fixture.join("lock")).expect("removed");
    }
    let first = std::fs::read(fixture.join("0000000001.log")).expect("readable");
    assert!(first[8] == 3 && first.len() < 4096);
    let (_folder, log) = opened("file-v3-archived");
    let (_plain_folder, plain) = opened("file-v2");
    assert_eq!(all(&log).await.expect("readable"), all(&plain).await.expect("readable"));
}

#[tokio::test]
async fn what_is_written_today_is_version_2_to_the_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    write_version_2(folder.path()).await;
    let mut files = 0;
    for entry in std::fs::read_dir(fixture("file-v2")).expect("the fixture is there") {
        let entry = entry.expect("readable");
        let written = std::fs::read(folder.path().join(entry.file_name())).expect("written too");
        let expected = std::fs::read(entry.path()).expect("readable");
        assert!(written == expected, "{:?} differs", entry.file_name());
        files += 1;
    }
    assert_eq!(files, 3, "two segments, and the index of the first");
}

#[tokio::test]
async fn a_later_version_is_refused_by_its_number() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&fixture("file-v1"), folder.path());
    let first = folder.path().join("0000000001.log");
    let mut bytes = std::fs::read(&first).expect("readable");
    bytes[8] = 9;
    std::fs::write(&first, bytes).expect("written");
    let Err(Error::Unsupported { what }) = FileLog::open(folder.path(), small()).map(drop) else {
        panic!("it must not be read")
    };
    assert!(what.contains("version 9"), "{what}");
}

#[tokio::test]
async fn deleting_in_a_log_of_version_1_keeps_programs_out_that_know_no_deletions() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&fixture("file-v1"), folder.path());
    let version = |number: u32| {
        let path = folder.path().join(format!("{number:010}.log"));
        std::fs::read(path).map(|bytes| bytes[8]).unwrap_or_default()
    };
    let log = FileLog::open(folder.path(), small()).expect("opened");
    let more = Batch::to_stream("order-1", [Event::new("/orders", "order.noted").build()]);
    log.append(more, Condition::Any, Durability::Durable).await.expect("appended");
    assert_eq!([1, 2, 3].map(version), [1, 1, 0], "it goes on in the segment that is there");
    log.delete("order-1", None, Durability::Durable).await.expect("deleted");
    assert_eq!([1, 2, 3].map(version), [1, 1, 2], "the deletion is where only later programs look");
    let found = all(&log).await.expect("readable");
    assert!(found.len() == 1 && &*found[0].stream == "stock", "{found:?}");
    log.erase().await.expect("erased");
    assert_eq!([1, 2, 3].map(version), [2, 2, 2], "erased events are of version 2 too");
    log.close().await.expect("closed");
    drop(log);
    let log = FileLog::open(folder.path(), small()).expect("opened");
    assert_eq!(all(&log).await.expect("readable"), found);
    assert_eq!(log.revision("order-1").await.expect("open"), None);
}
