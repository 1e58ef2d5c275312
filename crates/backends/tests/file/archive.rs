//! Segments that are archived: read, followed, deleted from, damaged and repaired like all others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog, FileLogReader, repair_on, survey_on};
use steadfast_base::Seed;
use steadfast_base::disk::{Crash, Disk, DiskFault, OpenMode, SimDisk};
use steadfast_base::units::Size;
use steadfast_core::encryption::{Aead, Encrypted, Settings, StoredKeys};
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, Error, EventStore, Filter, MemoryStore, Query, Revision,
    StoredEvent,
};
use steadfast_core::{Event, EventId};

use crate::support::{FOLDER, all, append, ids, open, sim, small, try_append, verify};

fn segment(number: u32) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:010}.log"))
}

fn length(disk: &SimDisk, number: u32) -> u64 {
    disk.process().open(&segment(number), OpenMode::Read).expect("there").length().expect("known")
}

/// Makes a log of five segments, in three streams, and returns it with all that is in it.
async fn filled(disk: &SimDisk) -> (FileLog, Vec<StoredEvent>) {
    filled_with(disk, 120).await
}

async fn filled_with(disk: &SimDisk, batches: u64) -> (FileLog, Vec<StoredEvent>) {
    let log = open(disk).expect("opened");
    for id in 0..batches {
        append(&log, ["a", "b", "c"][id as usize % 3], [id * 2, id * 2 + 1]).await;
    }
    let everything = all(&log).await.expect("readable");
    (log, everything)
}

async fn check(log: &dyn EventStore, everything: &[StoredEvent]) {
    assert_eq!(all(log).await.expect("readable"), everything);
    for direction in [Direction::Forward, Direction::Backward] {
        for stream in ["a", "b", "c"] {
            let query = Query { direction, filter: Filter::stream(stream), ..Query::default() };
            let found: Vec<StoredEvent> = log.read(query).try_collect().await.expect("readable");
            let mut expected: Vec<_> =
                everything.iter().filter(|stored| &*stored.stream == stream).cloned().collect();
            if direction == Direction::Backward {
                expected.reverse();
            }
            assert_eq!(found, expected, "{stream} {direction:?}");
        }
    }
}

#[tokio::test]
async fn archived_segments_are_shorter_and_read_like_others() {
    let disk = sim(1);
    let (log, everything) = filled_with(&disk, 300).await;
    let reader = FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened");
    let archived = log.archive(2).await.expect("archived");
    assert!(archived.segments > 3 && archived.bytes_after * 2 < archived.bytes_before, "{archived:?}");
    assert_eq!(log.archive(2).await.expect("nothing is left").segments, 0);
    let last = archived.segments as u32;
    assert!((1..=last).all(|number| length(&disk, number) < 4096));
    assert!((last + 1..=last + 3).all(|number| length(&disk, number) == 4096), "two and the newest");
    check(&log, &everything).await;
    check(&reader, &everything).await;
    // It is durable, and nothing of it is half.
    disk.crash(Crash::Dropped);
    drop((log, reader));
    for open in [open, verify] {
        let fork = disk.fork();
        let log = open(&fork).expect("opened");
        check(&log, &everything).await;
        let again = append(&log, "a", [0, 1]).await;
        assert!(again.duplicate && again.position == everything[1].position, "{again:?}");
        assert_eq!(append(&log, "a", [1000]).await.revision, Revision(200));
        assert!(log.archive(0).await.expect("archived").segments > 0);
    }
    check(&FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened"), &everything).await;
    let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    assert!(survey.damages.is_empty() && survey.events == 600, "{survey:?}");
    let archived: Vec<bool> = survey.segments.iter().map(|segment| segment.archived).collect();
    assert_eq!(archived.iter().filter(|archived| **archived).count() as u32, last);
}

#[tokio::test]
async fn a_log_archives_what_is_finished_by_itself() {
    let disk = sim(1);
    let config = || Config { archive_behind: Some(1), ..small() };
    let log = FileLog::open_on(Arc::new(disk.process()), FOLDER, config()).expect("opened");
    let mut id = 0;
    while disk.process().open(&segment(6), OpenMode::Read).is_err() {
        append(&log, "a", [id]).await;
        id += 1;
    }
    let archived = (1..=6).map(|number| length(&disk, number) < 4096);
    assert_eq!(archived.collect::<Vec<_>>(), [true, true, true, true, false, false]);
    assert_eq!(ids(&log).await, Vec::from_iter(0..id));
    log.close().await.expect("closed");
    drop(log);
    let log = FileLog::open_on(Arc::new(disk.process()), FOLDER, config()).expect("opened");
    assert_eq!(ids(&log).await, Vec::from_iter(0..id));
}

#[tokio::test]
async fn the_newest_segments_are_archived_on_a_thread_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { archive_behind: Some(0), prepare_ahead: true, ..small() };
    let log = FileLog::open(folder.path(), config).expect("opened");
    for id in 0..200 {
        append(&log, "a", [id]).await;
    }
    // Closing waits for the segment that is being archived.
    log.close().await.expect("closed");
    drop(log);
    let reader = FileLogReader::open(folder.path()).expect("opened");
    assert_eq!(ids(&reader).await, Vec::from_iter(0..200));
    let files = std::fs::read_dir(folder.path()).expect("a folder");
    let names: Vec<_> =
        files.map(|file| file.expect("an entry").file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.ends_with(".new")), "{names:?}");
}

#[tokio::test]
async fn what_is_deleted_is_left_out_of_archived_segments() {
    let disk = sim(1);
    let (log, everything) = filled(&disk).await;
    log.archive(3).await.expect("archived");
    log.delete("b", None, Durability::Durable).await.expect("deleted");
    let kept: Vec<_> = everything.into_iter().filter(|stored| &*stored.stream != "b").collect();
    check(&log, &kept).await;
    let counts = || {
        let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
        assert!(survey.damages.is_empty(), "{survey:?}");
        (survey.events, survey.deleted, survey.erased)
    };
    assert_eq!(counts(), (160, 80, 0));
    // A frame behind the deletion tells that it is durable, so that it cannot be torn off.
    append(&log, "a", [1000]).await;
    let archived = log.archive(0).await.expect("archived");
    assert!(archived.segments > 0 && archived.events_erased > 0, "{archived:?}");
    let erased = log.erase().await.expect("erased");
    assert_eq!(erased.events + archived.events_erased, 80);
    assert_eq!(counts(), (161, 80, 80));
    let kept = all(&log).await.expect("readable");
    assert!(kept.iter().all(|stored| &*stored.stream != "b") && kept.len() == 161);
    log.close().await.expect("closed");
    drop(log);
    for open in [open, verify] {
        let log = open(&disk).expect("opened");
        check(&log, &kept).await;
        assert!(append(&log, "b", [2, 3]).await.duplicate);
        log.close().await.expect("closed");
    }
}

#[tokio::test]
async fn archiving_may_end_at_any_moment() {
    let mut finished = false;
    for moment in 0..400 {
        let disk = sim(1);
        let (log, everything) = filled(&disk).await;
        disk.power_off_after(moment);
        finished = log.archive(0).await.is_ok() && !disk.is_off();
        drop(log);
        disk.crash([Crash::Dropped, Crash::Torn, Crash::ProcessOnly][moment as usize % 3]);
        disk.calm();
        let log = open(&disk).expect("it is not damaged");
        assert_eq!(all(&log).await.expect("readable"), everything, "moment {moment}");
        let files = disk.process().list(FOLDER.as_ref()).expect("a folder");
        assert!(!files.iter().any(|file| file.ends_with(".new")), "moment {moment}: {files:?}");
        drop(log);
        let log = verify(&disk).expect("all is as it should be");
        assert_eq!(all(&log).await.expect("readable"), everything, "moment {moment}");
        if finished {
            break;
        }
    }
    assert!(finished, "there are more moments");
}

#[tokio::test]
async fn a_disk_that_fails_while_segments_are_archived_leaves_the_log_as_it_was() {
    let disk = sim(1);
    let (log, mut everything) = filled(&disk).await;
    for fault in 0..4 {
        match fault {
            0 => disk.limit_space(Some(100)),
            1 => disk.fail(DiskFault::FolderSyncError { skip: 0 }),
            2 => disk.fail(DiskFault::WriteError { skip: 1 }),
            _ => disk.fail(DiskFault::SyncError { skip: 0 }),
        }
        let failed = log.archive(0).await;
        assert!(matches!(failed, Err(Error::Io { .. } | Error::Full)), "fault {fault}: {failed:?}");
        disk.limit_space(None);
        check(&log, &everything).await;
        let more = try_append(&log, "a", [1000 + fault], Durability::Durable).await;
        more.unwrap_or_else(|error| panic!("fault {fault}: it does not go on: {error}"));
        everything = all(&log).await.expect("readable");
    }
    assert!(log.archive(0).await.expect("archived").segments > 0);
    disk.crash(Crash::Dropped);
    drop(log);
    check(&verify(&disk).expect("opened"), &everything).await;
}

#[tokio::test]
async fn every_bit_of_an_archived_segment_is_guarded() {
    let disk = sim(1);
    let (log, everything) = filled(&disk).await;
    log.archive(0).await.expect("archived");
    log.close().await.expect("closed");
    drop(log);
    for byte in 0..length(&disk, 2) {
        let bit = (byte % 8) as u8;
        disk.flip_bit(&segment(2), byte, bit);
        match verify(&disk).map(drop) {
            Err(Error::Damaged { place, .. }) => assert!(place.contains("0000000002.log at byte"), "{place}"),
            Err(Error::Unsupported { what }) if byte == 8 => assert!(what.contains("version")),
            other => panic!("a bit of byte {byte}: {other:?}"),
        }
        let read = match open(&disk) {
            Ok(log) => all(&log).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(
            matches!(read, Err(Error::Damaged { .. } | Error::Unsupported { .. })),
            "byte {byte}: {read:?}"
        );
        disk.flip_bit(&segment(2), byte, bit);
    }
    check(&verify(&disk).expect("it is whole again"), &everything).await;
}

#[tokio::test]
async fn a_damaged_block_is_found_and_cut_off() {
    let disk = sim(1);
    let (log, everything) = filled(&disk).await;
    log.archive(0).await.expect("archived");
    log.close().await.expect("closed");
    drop(log);
    disk.flip_bit(&segment(3), length(&disk, 3) - 5, 1);
    let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    let behind = survey.segments[3].first.expect("events");
    // So short a segment is one block; what its header says stands in that of the archive too.
    let place = (survey.damages[0].segment.as_str(), survey.damages[0].byte);
    assert_eq!((place, survey.head), (("0000000003.log", 64), 240), "{survey:?}");
    let first = everything[survey.damages[0].position as usize - 1].position.parts().0;
    assert!(first < behind && survey.events == 240 - (behind - first), "{survey:?}");
    let repaired = repair_on(Arc::new(disk.process()), FOLDER).expect("repaired").expect("there was damage");
    assert_eq!(repaired.damage, survey.damages[0]);
    disk.crash(Crash::Dropped);
    let log = open(&disk).expect("opened");
    let kept = &everything[..first as usize - 1];
    check(&log, kept).await;
    append(&log, "a", [1000]).await;
    log.close().await.expect("closed");
    drop(log);
    assert_eq!(all(&verify(&disk).expect("opened")).await.expect("readable").len(), kept.len() + 1);
}

#[tokio::test]
async fn a_log_goes_on_in_an_archived_segment_where_the_later_ones_are_gone() {
    let disk = sim(1);
    let (log, everything) = filled(&disk).await;
    log.archive(0).await.expect("archived");
    drop(log);
    let mut last =
        (1..).take_while(|number| disk.process().open(&segment(*number), OpenMode::Read).is_ok()).last();
    while let Some(number) = last.filter(|number| *number > 3) {
        disk.process().remove(&segment(number)).expect("removed");
        last = Some(number - 1);
    }
    assert!(length(&disk, 3) < 4096);
    let log = open(&disk).expect("opened");
    let left = all(&log).await.expect("readable");
    assert!(everything.starts_with(&left) && !left.is_empty());
    assert_eq!(length(&disk, 3), 4096, "it can be written to again");
    for id in 1000..1100 {
        append(&log, "a", [id]).await;
    }
    drop(log);
    assert_eq!(all(&verify(&disk).expect("opened")).await.expect("readable").len(), left.len() + 100);
}

#[tokio::test]
async fn events_of_any_length_are_found_across_blocks() {
    let disk = sim(1);
    let config = Config { segment_size: Size::from_bytes(512 << 10), ..small() };
    let log = FileLog::open_on(Arc::new(disk.process()), FOLDER, config).expect("opened");
    let mut rng = Seed::new(1).rng();
    for id in 0..60_u64 {
        // Some compress well, some not at all, and some are longer than a block.
        let length = [10, 1000, 30_000, 150_000][rng.below(4) as usize];
        let noise = rng.chance(0.5);
        let data: Vec<u8> = (0..length).map(|_| if noise { rng.below(256) as u8 } else { b'x' }).collect();
        let event = Event::new("/test", "tested").id(EventId::from_u128(id.into())).bytes(data);
        let batch = Batch::to_stream(["a", "b", "c"][id as usize % 3], [event]);
        log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    }
    let everything = all(&log).await.expect("readable");
    let archived = log.archive(0).await.expect("archived");
    assert!(archived.segments > 3 && archived.bytes_after < archived.bytes_before, "{archived:?}");
    check(&log, &everything).await;
    drop(log);
    check(&verify(&disk).expect("opened"), &everything).await;
    let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    let (number, bytes) = (2, survey.segments[1].bytes);
    // A block in the middle: what is before and behind it is still counted.
    disk.flip_bit(&segment(number), bytes / 2, 1);
    let damaged = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    let in_segment = damaged.segments[1].events;
    assert!(damaged.damages.len() == 1 && in_segment < survey.segments[1].events, "{damaged:?}");
    assert_eq!(damaged.segments[2..], survey.segments[2..]);
}

/// A block holds 64 KiB of a segment, and readers read more at once.
#[tokio::test]
async fn all_that_stands_before_a_damaged_block_is_read() {
    let disk = sim(1);
    let config = Config { segment_size: Size::from_bytes(512 << 10), ..small() };
    let log = FileLog::open_on(Arc::new(disk.process()), FOLDER, config).expect("opened");
    let mut rng = Seed::new(1).rng();
    while disk.process().open(&segment(2), OpenMode::Read).is_err() {
        let data: Vec<u8> = (0..1000).map(|_| rng.below(256) as u8).collect();
        let event = Event::new("/test", "tested").bytes(data);
        let batch = Batch::to_stream("a", [event]);
        log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    }
    let everything = all(&log).await.expect("readable");
    log.archive(0).await.expect("archived");
    log.close().await.expect("closed");
    drop(log);
    // What does not compress stands about where it stood.
    disk.flip_bit(&segment(1), length(&disk, 1) / 2, 1);
    let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    let before = survey.damages[0].position as usize - 1;
    assert!(before > 150, "{survey:?}");
    let reader = FileLogReader::open_on(Arc::new(disk.process()), FOLDER).map(drop);
    assert!(matches!(reader, Err(Error::Damaged { .. })), "{reader:?}");
    let log = open(&disk).expect("nobody has looked");
    let queries = [
        Query::default(),
        Query { filter: Filter::stream("a"), ..Query::default() },
        Query { limit: Some(everything.len() as u64), ..Query::default() },
    ];
    for query in queries {
        let mut found = Vec::new();
        let mut events = log.read(query.clone());
        let error = loop {
            match events.try_next().await {
                Ok(event) => found.push(event.expect("the damage is met")),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&error, Error::Damaged { place, .. } if place.contains("0000000001.log")),
            "{error}"
        );
        assert!(found == everything[..before], "{} of {before} events, for {query:?}", found.len());
    }
}

/// Neither the table of an archived segment nor its blocks are read by whoever opens the log; who reads is told.
#[tokio::test]
async fn opening_looks_at_the_headers_of_archived_segments_alone() {
    let disk = sim(1);
    let (log, everything) = filled(&disk).await;
    log.archive(0).await.expect("archived");
    // What is erased later is noted anew.
    log.delete("b", None, Durability::Durable).await.expect("deleted");
    log.erase().await.expect("erased");
    let kept: Vec<_> = everything.into_iter().filter(|stored| &*stored.stream != "b").collect();
    log.close().await.expect("closed");
    drop(log);
    check(&open(&disk).expect("opened"), &kept).await;
    for byte in [64, 70, length(&disk, 2) - 3] {
        disk.flip_bit(&segment(2), byte, 1);
        let log = open(&disk).expect("nobody has looked");
        let error = all(&log).await.expect_err("it is met when it is read");
        assert!(
            matches!(&error, Error::Damaged { place, .. } if place.contains("0000000002.log")),
            "{error}"
        );
        drop(log);
        assert!(matches!(verify(&disk).map(drop), Err(Error::Damaged { .. })), "byte {byte}");
        disk.flip_bit(&segment(2), byte, 1);
    }
    // Without the note the last frame tells, as it did before there was one.
    for number in 1..=2_u32 {
        let index = Path::new(FOLDER).join(format!("{number:010}.idx"));
        let file = disk.process().open(&index, OpenMode::Write).expect("there");
        let mut head = [0; 96];
        file.read_at(&mut head, 0).expect("read");
        assert_eq!(head[80], 1, "it is noted");
        head[76..88].fill(0);
        let sum = crc32c::crc32c(&head[..88]);
        head[88..92].copy_from_slice(&sum.to_le_bytes());
        file.write_all_at(&head, 0).expect("written");
    }
    check(&open(&disk).expect("opened"), &kept).await;
}

/// Whoever has the store as one of any sort can archive it, also behind encryption.
#[tokio::test]
async fn archiving_is_asked_of_any_store_that_declares_it() {
    let disk = sim(1);
    let (log, everything) = filled_with(&disk, 300).await;
    let cipher = Arc::new(Aead::ChaCha20Poly1305);
    let keys = StoredKeys::new(Arc::new(MemoryStore::new()), cipher.clone()).expect("it deletes");
    let log = Arc::new(log);
    let inner = Arc::clone(&log) as Arc<dyn EventStore>;
    let store: Arc<dyn EventStore> =
        Arc::new(Encrypted::new(inner, Arc::new(keys), cipher, Settings::default()));
    assert!(store.capabilities().archives);
    let archived = store.archive(2).await.expect("archived");
    assert!(archived.parts > 3 && archived.bytes_after * 2 < archived.bytes_before, "{archived:?}");
    check(&*log, &everything).await;
    let reader: Arc<dyn EventStore> =
        Arc::new(FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened"));
    assert!(!reader.capabilities().archives);
    assert!(matches!(reader.archive(0).await, Err(Error::Unsupported { .. })));
}
