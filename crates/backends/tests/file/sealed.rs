//! The index files of finished segments: what they say is what the segments say, and without them nothing changes.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog, FileLogReader};
use steadfast_base::disk::{Crash, Disk, DiskFault, OpenMode, SimDisk};
use steadfast_base::units::Size;
use steadfast_base::{Rng, Seed};
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, Error, EventStore, Filter, NewEvent, Position, Query, Revision,
    StoredEvent,
};
use steadfast_core::testing;

use crate::support::{FOLDER, all, event, ids, open, sim, small, verify};

fn file(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(name)
}

fn indexes(disk: &SimDisk) -> Vec<String> {
    let files = disk.process().list(FOLDER.as_ref()).expect("a folder");
    files.into_iter().filter(|file| file.ends_with(".idx")).collect()
}

/// Appends `count` batches of up to three events to a few streams that all write to, and to many that few do.
async fn fill(log: &dyn EventStore, rng: &mut Rng, from: u64, count: u64) -> u64 {
    let mut id = from;
    for _ in 0..count {
        let events = (0..=rng.below(3)).map(|_| {
            id += 1;
            let stream = if rng.chance(0.5) { rng.below(3) } else { 3 + rng.below(200) };
            NewEvent { stream: format!("stream-{stream}").into(), event: event(id) }
        });
        let batch = Batch { events: events.collect() };
        log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
    }
    id
}

/// Asks for random streams from random places, either way, and compares with what is among all events.
async fn check(log: &dyn EventStore, everything: &[StoredEvent], rng: &mut Rng) -> Result<(), Error> {
    let head = everything.len() as u64;
    for _ in 0..60 {
        let streams: Vec<Arc<str>> =
            (0..=rng.below(3)).map(|_| format!("stream-{}", rng.below(60)).into()).collect();
        let direction = if rng.chance(0.5) { Direction::Forward } else { Direction::Backward };
        let from = rng.chance(0.7).then(|| Position::from_parts(rng.below(head + 2), 0));
        let limit = rng.chance(0.5).then(|| rng.below(20));
        let filter = Filter { streams, ..Filter::default() };
        let inside = |stored: &&StoredEvent| {
            filter.streams.contains(&stored.stream)
                && from.is_none_or(|from| match direction {
                    Direction::Forward => stored.position > from,
                    Direction::Backward => stored.position < from,
                })
        };
        let mut expected: Vec<&StoredEvent> = everything.iter().filter(inside).collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        expected.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
        let query = Query { filter: filter.clone(), from, direction, limit };
        let found: Vec<StoredEvent> = log.read(query.clone()).try_collect().await?;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
        for stream in &filter.streams {
            let count = everything.iter().filter(|stored| stored.stream == *stream).count() as u64;
            assert_eq!(log.revision(stream).await?, count.checked_sub(1).map(Revision), "{stream}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn streams_are_read_the_same_from_memory_from_files_and_from_both() {
    let seed = testing::seed();
    let (disk, mut rng) = (sim(1), seed.rng());
    let mut id = 0;
    for round in 0..4 {
        let log = open(&disk).expect("opened");
        id = fill(&log, &mut rng, id, 150).await;
        let everything = all(&log).await.expect("readable");
        check(&log, &everything, &mut rng).await.expect("readable");
        if round % 2 == 0 {
            log.close().await.expect("closed");
        } else {
            disk.crash(Crash::ProcessOnly);
        }
        drop(log);
        disk.crash(Crash::ProcessOnly);
        for open in [open, verify] {
            let fork = disk.fork();
            let log = open(&fork).expect("opened");
            assert_eq!(all(&log).await.expect("readable"), everything, "round {round}");
            check(&log, &everything, &mut rng).await.expect("readable");
        }
        let reader = FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened");
        check(&reader, &everything, &mut rng).await.expect("readable");
    }
    assert!(indexes(&disk).len() > 17, "more than one snapshot was due: {:?}", indexes(&disk));
    assert!(indexes(&disk).contains(&"streams.idx".to_owned()));
}

/// Erasing that fails once the segment is in its place is repeated, and finds nothing to do.
#[tokio::test]
async fn the_index_follows_a_segment_that_was_put_in_place_by_an_attempt_that_failed() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let last_of_first = {
        let mut id = 0;
        while disk.process().open(&file("0000000002.log"), OpenMode::Read).is_err() {
            id += 1;
            let batch = Batch::to_stream(format!("stream-{id}"), [event(id)]);
            log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
        }
        format!("stream-{}", id - 1)
    };
    // Its frame is the one by which the index file is recognised.
    log.delete(&last_of_first, None, Durability::Durable).await.expect("deleted");
    disk.fail(DiskFault::FolderSyncError { skip: 0 });
    assert!(matches!(log.erase().await, Err(Error::Io { .. })));
    log.erase().await.expect("erased");
    fill(&log, &mut Seed::new(1).rng(), 1000, 30).await;
    log.close().await.expect("closed");
    drop(log);
    disk.flip_bit(&file("0000000001.log"), 200, 1);
    open(&disk).expect("its index file is believed, and it is not read");
}

#[tokio::test]
async fn finished_segments_are_not_read_when_the_log_is_opened() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    fill(&log, &mut Seed::new(1).rng(), 0, 100).await;
    drop(log);
    disk.flip_bit(&file("0000000001.log"), 200, 1);
    assert!(matches!(verify(&disk).map(drop), Err(Error::Damaged { .. })));
    let log = open(&disk).expect("nobody has looked");
    let error = all(&log).await.expect_err("it is met when it is read");
    assert!(matches!(&error, Error::Damaged { place, .. } if place.contains("0000000001.log")), "{error}");
    disk.process().remove(&file("0000000001.idx")).expect("removed");
    drop(log);
    assert!(matches!(open(&disk).map(drop), Err(Error::Damaged { .. })), "without its index it is read");
}

#[tokio::test]
async fn batches_are_recognised_by_what_the_index_files_remember() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let batch = |id: u64| Batch::to_stream(format!("s{}", id % 7), [event(id), event(id + 1)]);
    let mut appended = Vec::new();
    for id in (0..300).step_by(2) {
        appended.push(log.append(batch(id), Condition::Any, Durability::Durable).await.expect("appended"));
    }
    drop(log);
    let log = open(&disk).expect("opened");
    for (id, before) in (0..300).step_by(2).zip(appended) {
        let again = log.append(batch(id), Condition::Any, Durability::Durable).await.expect("recognised");
        assert!(again.duplicate, "{id}");
        assert_eq!((again.position, again.revision), (before.position, before.revision));
    }
    let elsewhere = Batch::to_stream("other", [event(0), event(1)]);
    let refused = log.append(elsewhere, Condition::Any, Durability::Durable).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
}

/// Each byte of two index files and of the snapshot in turn.
#[tokio::test]
async fn a_damaged_index_file_is_made_again_or_named_and_never_believed() {
    let disk = sim(1);
    // So few identities are remembered that not all files are read when the log is opened.
    let open = |disk: &SimDisk| {
        let config = Config { deduplicated_events: 50, ..small() };
        FileLog::open_on(Arc::new(disk.process()), FOLDER, config)
    };
    let log = open(&disk).expect("opened");
    let mut rng = Seed::new(7).rng();
    fill(&log, &mut rng, 0, 600).await;
    let everything = all(&log).await.expect("readable");
    drop(log);
    assert!(indexes(&disk).len() > 17, "{:?}", indexes(&disk));
    let (mut made_again, mut named) = (0, 0);
    for name in ["0000000002.idx", "0000000017.idx", "streams.idx"] {
        let length = disk.process().open(&file(name), OpenMode::Read).and_then(|file| file.length());
        for byte in (0..length.expect("it is there")).step_by(97) {
            let fork = disk.fork();
            fork.flip_bit(&file(name), byte, (byte % 8) as u8);
            let log = open(&fork).unwrap_or_else(|error| panic!("byte {byte} of {name}: {error}"));
            assert_eq!(ids(&log).await.len(), everything.len());
            match check(&log, &everything, &mut rng).await {
                Ok(()) => made_again += 1,
                Err(Error::Damaged { place, .. }) => {
                    assert_eq!(place, format!("index {name}"));
                    named += 1;
                }
                Err(error) => panic!("byte {byte} of {name}: {error}"),
            }
        }
    }
    assert!(made_again > 0 && named > 0, "{made_again} were made again, {named} were named");
    for name in indexes(&disk) {
        disk.process().remove(&file(&name)).expect("removed");
    }
    let log = open(&disk).expect("it needs none of them");
    check(&log, &everything, &mut rng).await.expect("readable");
    assert!(indexes(&disk).len() > 17, "they are made again: {:?}", indexes(&disk));
}

#[tokio::test]
async fn an_index_file_of_a_segment_that_has_gone_on_is_not_believed() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    fill(&log, &mut Seed::new(3).rng(), 0, 60).await;
    let everything = all(&log).await.expect("readable");
    log.close().await.expect("closed");
    drop(log);
    // As if the next segment had never been written to: the log goes on in the one that has an index file.
    let numbers: Vec<u32> =
        indexes(&disk).iter().filter_map(|name| name.strip_suffix(".idx")?.parse().ok()).collect();
    let last = numbers.into_iter().max().expect("there are some");
    disk.process().remove(&file(&format!("{:010}.log", last + 1))).expect("removed");
    let log = open(&disk).expect("opened");
    let left = all(&log).await.expect("readable");
    assert!(everything.starts_with(&left) && left.len() < everything.len());
    fill(&log, &mut Seed::new(4).rng(), 10_000, 60).await;
    let everything = all(&log).await.expect("readable");
    assert!(everything.len() > left.len() && everything.starts_with(&left));
    check(&log, &everything, &mut Seed::new(5).rng()).await.expect("readable");
    drop(log);
    let log = open(&disk).expect("opened");
    assert_eq!(all(&log).await.expect("readable"), everything);
    check(&log, &everything, &mut Seed::new(6).rng()).await.expect("readable");
}

/// With its threads, on a real disk, read while it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_to_streams_follow_from_segment_to_segment() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { segment_size: Size::from_bytes(4096), prepare_ahead: true, ..small() };
    let log = Arc::new(FileLog::open(folder.path(), config.clone()).expect("opened"));
    let filter = Filter { streams: vec!["stream-0".into(), "stream-7".into()], ..Filter::default() };
    let mut following: Vec<_> = Vec::new();
    for _ in 0..2 {
        let (log, filter) = (Arc::clone(&log), filter.clone());
        following.push(tokio::spawn(async move {
            log.subscribe(filter, Position::START).try_collect::<Vec<_>>().await.expect("readable")
        }));
    }
    fill(&*log, &mut Seed::new(1).rng(), 0, 600).await;
    let everything = all(&*log).await.expect("readable");
    let expected: Vec<StoredEvent> =
        everything.iter().filter(|stored| filter.streams.contains(&stored.stream)).cloned().collect();
    let newest = expected.last().expect("some").position;
    let seen = log.subscribe(filter.clone(), Position::START).try_take_while(|stored| {
        let more = stored.position < newest;
        std::future::ready(Ok(more))
    });
    let seen: Vec<_> = seen.try_collect().await.expect("readable");
    assert_eq!(seen, expected[..expected.len() - 1]);
    log.close().await.expect("closed");
    for following in following {
        assert_eq!(following.await.expect("no panic"), expected);
    }
    let log = FileLog::open(folder.path(), config).expect("opened");
    check(&log, &everything, &mut Seed::new(2).rng()).await.expect("readable");
}
