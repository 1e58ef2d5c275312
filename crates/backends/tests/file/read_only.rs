//! A log read while another process writes it, looked at, and repaired.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use steadfast_backends::file::{FileLogReader, repair_on, survey_on};
use steadfast_base::Seed;
use steadfast_base::disk::{Crash, Disk, OpenMode, SimDisk};
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Filter, Position, Query, Revision,
};

use crate::support::{FOLDER, all, append, event, ids, open, sim, try_append, verify};

fn reader(disk: &SimDisk) -> Result<FileLogReader, Error> {
    FileLogReader::open_on(Arc::new(disk.process()), FOLDER)
}

fn segment(number: u32) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:010}.log"))
}

async fn read_ids(reader: &FileLogReader) -> Vec<u64> {
    let found: Vec<_> = reader.read(Query::default()).try_collect().await.expect("readable");
    found.iter().map(|stored| stored.event.id().as_u128() as u64).collect()
}

#[tokio::test]
async fn a_reader_sees_what_is_written_at_once_and_follows() {
    let disk = sim(1);
    assert!(matches!(reader(&disk), Err(Error::Io { .. })), "there is no log yet");
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let reader = Arc::new(reader(&disk).expect("it takes no lock"));
    let following = tokio::spawn({
        let reader = Arc::clone(&reader);
        async move {
            let events = reader.subscribe(Filter::all(), Position::START).take(300);
            events.map_ok(|stored| stored.position.parts().0).try_collect::<Vec<_>>().await
        }
    });
    // Over many segments.
    for id in 1..300 {
        try_append(&log, if id % 2 == 0 { "a" } else { "b" }, [id], Durability::Written)
            .await
            .expect("there");
        if id % 50 == 0 {
            assert_eq!(read_ids(&reader).await, Vec::from_iter(0..=id));
            assert_eq!(reader.head().await.expect("open"), Position::from_parts(id + 1, 0));
        }
    }
    let followed = tokio::time::timeout(Duration::from_secs(20), following).await.expect("in time");
    assert_eq!(followed.expect("no panic").expect("no error"), Vec::from_iter(1..=300));
    assert_eq!(reader.revision("b").await.expect("open"), Some(Revision(149)));
    let refused =
        reader.append(Batch::to_stream("a", [event(9)]), Condition::Any, Durability::Accepted).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    reader.close().await.expect("closed");
    assert!(matches!(reader.head().await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_reader_never_returns_part_of_a_batch_and_outlives_the_writer() {
    for seed in 0..30 {
        let disk = sim(seed);
        let log = open(&disk).expect("opened");
        append(&log, "a", [1]).await;
        let reader = reader(&disk).expect("opened");
        // The writer is killed in the midst of a write.
        disk.power_off_after(Seed::new(seed).rng().below(4));
        let mut id = 2;
        while try_append(&log, "a", [id, id + 1, id + 2], Durability::Durable).await.is_ok() {
            id += 3;
        }
        disk.calm();
        let seen = read_ids(&reader).await;
        drop(log);
        let log = open(&disk).expect("opened again");
        let kept = ids(&log).await;
        assert_eq!(seen, kept, "seed {seed}: what was seen is there, and nothing else is");
        append(&log, "a", [id + 10]).await;
        assert_eq!(read_ids(&reader).await, ids(&log).await, "seed {seed}: it goes on with the next writer");
    }
}

#[tokio::test]
async fn damage_ends_a_reader_and_a_subscription() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let follower = reader(&disk).expect("opened");
    let end = written(&disk, 1);
    // The next batch is damaged before the reader sees it, and one behind it tells that it was durable.
    append(&log, "a", [1]).await;
    append(&log, "a", [2]).await;
    append(&log, "a", [3]).await;
    drop(follower);
    disk.flip_bit(&segment(1), end + 40, 1);
    let refused = reader(&disk).map(drop).expect_err("damaged");
    assert!(
        matches!(&refused, Error::Damaged { place, .. } if place.ends_with(&format!("byte {end}"))),
        "{refused}"
    );
    disk.flip_bit(&segment(1), end + 40, 1);
    let follower = Arc::new(reader(&disk).expect("opened"));
    assert_eq!(read_ids(&follower).await, [0, 1, 2, 3]);
    let subscribed = tokio::spawn({
        let follower = Arc::clone(&follower);
        async move { follower.subscribe(Filter::all(), Position::START).try_collect::<Vec<_>>().await }
    });
    // Every second batch is damaged as soon as it is there, and the one behind it tells that it was durable.
    for id in (4..1000).step_by(2) {
        append(&log, "a", [id]).await;
        let last = (1..=20).rev().find(|number| written_any(&disk, *number)).expect("a segment");
        disk.flip_bit(&segment(last), written(&disk, last) - 9, 1);
        append(&log, "a", [id + 1]).await;
        if subscribed.is_finished() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(20), subscribed).await.expect("it ends");
    let ended = ended.expect("no panic");
    assert!(matches!(ended, Err(Error::Damaged { .. })), "{ended:?}");
}

/// Whoever has been told of damage is told so from then on, also by the look after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_has_met_damage_says_so_always() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let follower = reader(&disk).expect("opened");
    // It may read a batch before that is damaged.
    for id in (1..1000).step_by(2) {
        append(&log, "a", [id]).await;
        let last = (1..=20).rev().find(|number| written_any(&disk, *number)).expect("a segment");
        disk.flip_bit(&segment(last), written(&disk, last) - 9, 1);
        append(&log, "a", [id + 1]).await;
        if follower.head().await.is_err() {
            break;
        }
    }
    for _ in 0..100 {
        let told = follower.head().await;
        assert!(matches!(told, Err(Error::Damaged { .. })), "{told:?}");
    }
}

/// Says whether a segment is there and holds a frame.
fn written_any(disk: &SimDisk, number: u32) -> bool {
    disk.process().open(&segment(number), OpenMode::Read).is_ok() && written(disk, number) > 64
}

/// Returns where the next frame goes.
fn written(disk: &SimDisk, number: u32) -> u64 {
    let file = disk.process().open(&segment(number), OpenMode::Read).expect("there");
    let mut bytes = vec![0; file.length().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    (bytes.iter().rposition(|byte| *byte != 0).expect("something") as u64 + 1).next_multiple_of(8)
}

#[tokio::test]
async fn a_survey_counts_and_finds_every_damage() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let mut starts = Vec::new();
    let mut id = 0;
    while disk.process().open(&segment(3), OpenMode::Read).is_err() {
        if disk.process().open(&segment(2), OpenMode::Read).is_err() {
            starts.push(written(&disk, 1));
        }
        append(&log, if id % 2 == 0 { "a" } else { "b" }, [id * 2, id * 2 + 1]).await;
        id += 1;
    }
    let survey = || survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    let open_still = survey();
    assert_eq!((open_still.events, open_still.batches, open_still.head), (id * 2, id, id * 2));
    assert!(!open_still.clean && open_still.damages.is_empty() && open_still.torn_tail.is_none());
    log.close().await.expect("closed");
    drop(log);
    let whole = survey();
    assert!(whole.clean, "{whole:?}");
    assert_eq!(whole.streams.iter().map(|stream| stream.events).sum::<u64>(), id * 2);
    assert_eq!(whole.segments.len(), 3);
    assert_eq!(whole.segments.iter().map(|segment| segment.events).sum::<u64>(), id * 2);

    disk.flip_bit(&segment(1), starts[2] + 40, 0);
    disk.flip_bit(&segment(1), starts[5] + 50, 0);
    disk.flip_bit(&segment(2), 64 + 45, 0);
    let damaged = survey();
    let places: Vec<_> = damaged.damages.iter().map(|d| (d.segment.clone(), d.byte, d.position)).collect();
    let first = |number: u32| format!("{number:010}.log");
    let second = whole.segments[1].first.expect("events");
    assert_eq!(places, [(first(1), starts[2], 5), (first(1), starts[5], 11), (first(2), 64, second)]);
    assert_eq!((damaged.events, damaged.head), (id * 2 - 6, id * 2));

    disk.flip_bit(&segment(2), 3, 0);
    disk.process().remove(&segment(1)).expect("removed");
    let worse: Vec<_> = survey().damages.iter().map(|d| (d.segment.clone(), d.byte)).collect();
    assert_eq!(worse, [(first(1), 0), (first(2), 0), (first(2), 64)]);
}

#[tokio::test]
async fn a_torn_tail_is_told_from_damage() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let end = written(&disk, 1);
    try_append(&log, "a", [1], Durability::Written).await.expect("appended");
    try_append(&log, "a", [2], Durability::Written).await.expect("appended");
    disk.crash(Crash::ProcessOnly);
    drop(log);
    disk.flip_bit(&segment(1), end + 40, 0);
    let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    assert!(survey.damages.is_empty() && !survey.clean, "{survey:?}");
    assert_eq!(survey.torn_tail.map(|torn| torn.byte), Some(end));
    assert_eq!((survey.events, survey.head), (1, 1));
    let repaired = repair_on(Arc::new(disk.process()), FOLDER).expect("nothing fails");
    assert_eq!(repaired, None, "opening cuts it");
}

#[tokio::test]
async fn a_repair_cuts_at_the_first_damage_and_keeps_a_copy() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let mut starts = Vec::new();
    let mut id = 0;
    while disk.process().open(&segment(3), OpenMode::Read).is_err() {
        starts.push(written(&disk, 1));
        append(&log, "a", [id]).await;
        id += 1;
    }
    let locked = repair_on(Arc::new(disk.process()), FOLDER).expect_err("a writer has it");
    assert!(matches!(locked, Error::Locked { .. }));
    log.close().await.expect("closed");
    drop(log);
    disk.flip_bit(&segment(1), starts[7] + 40, 0);
    assert!(matches!(verify(&disk).map(drop), Err(Error::Damaged { .. })));
    let repaired = repair_on(Arc::new(disk.process()), FOLDER).expect("repaired").expect("there was damage");
    assert_eq!((repaired.damage.byte, repaired.damage.position, repaired.events_cut), (starts[7], 8, id - 8));
    let copies = disk.process().list(&repaired.copy).expect("there");
    assert_eq!(copies, ["0000000001.log", "0000000002.log", "0000000003.log"]);
    // All of it is durable: the cut, and the copy.
    disk.crash(Crash::Dropped);
    let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
    assert!(survey.clean && survey.damages.is_empty(), "{survey:?}");
    assert_eq!(disk.process().list(&repaired.copy).expect("there"), copies);
    let log = open(&disk).expect("opened");
    assert_eq!(ids(&log).await, Vec::from_iter(0..7));
    assert_eq!(append(&log, "a", [1000]).await.revision, Revision(7));
    assert_eq!(all(&log).await.expect("readable").len(), 8);
}
