//! Damage is told from a torn tail, and is never skipped.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use steadfast_backends::file::repair_on;
use steadfast_base::disk::{Crash, Disk, DiskFault, OpenMode, SimDisk};
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore};
use steadfast_core::{Event, EventId};

use crate::support::{FOLDER, append, event, ids, open, sim, try_append, verify};

const HEADER: u64 = 64;

fn segment(number: u32) -> std::path::PathBuf {
    Path::new(FOLDER).join(format!("{number:010}.log"))
}

/// Returns the offset behind the last byte of a segment that is not zero.
fn written(disk: &SimDisk, number: u32) -> u64 {
    let file = disk.process().open(&segment(number), OpenMode::Read).expect("there");
    let mut bytes = vec![0; file.length().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    bytes.iter().rposition(|byte| *byte != 0).expect("something") as u64 + 1
}

#[tokio::test]
async fn every_bit_of_a_closed_log_is_guarded() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    for id in 0..6 {
        append(&log, "a", [id]).await;
    }
    log.close().await.expect("closed");
    drop(log);
    // The mark at the end tells that all before it was durable; without the mark nothing is lost.
    let mark = written(&disk, 1) / 8 * 8 - 24;
    for byte in 0..mark {
        let bit = (byte % 8) as u8;
        disk.flip_bit(&segment(1), byte, bit);
        match open(&disk) {
            Err(Error::Damaged { place, .. }) => assert!(place.contains("0000000001.log at byte"), "{place}"),
            Err(Error::Unsupported { what }) if byte == 8 => assert!(what.contains("version")),
            other => panic!("a bit of byte {byte} of {mark}: {other:?}"),
        }
        disk.flip_bit(&segment(1), byte, bit);
    }
    disk.flip_bit(&segment(1), mark + 1, 0);
    assert_eq!(ids(&open(&disk).expect("a torn mark")).await, [0, 1, 2, 3, 4, 5]);
}

/// What tells that a full segment was durable stands in the next one.
#[tokio::test]
async fn the_end_of_a_full_segment_is_guarded_once_the_log_is_closed_or_opened() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let sized = async |id: u64, size: u64| {
        let event =
            event(id).edit().time(SystemTime::UNIX_EPOCH).data("text/plain", vec![b'x'; size as usize]);
        let batch = Batch::to_stream("a", [event]);
        log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
        written(&disk, 1).next_multiple_of(8)
    };
    let length = sized(0, 200).await - HEADER;
    let mut id = 1;
    while 4096 - sized(id, 200).await >= 2 * length {
        id += 1;
    }
    let last = written(&disk, 1).next_multiple_of(8);
    // Of what is left, the last batch takes all but less than a mark.
    let end = sized(id + 1, 4096 - last - length + 200 - 8).await;
    assert!((4096 - 31..=4096).contains(&end), "{end}");
    disk.crash(Crash::Dropped);
    drop(log);
    let guarded = || {
        disk.flip_bit(&segment(1), last + 40, 3);
        let opened = open(&disk).map(drop);
        disk.flip_bit(&segment(1), last + 40, 3);
        matches!(opened, Err(Error::Damaged { .. }))
    };
    let log = open(&disk).expect("opened");
    assert_eq!(ids(&log).await.len() as u64, id + 2);
    disk.crash(Crash::Dropped);
    drop(log);
    assert!(guarded(), "it was opened");
    let log = open(&disk).expect("opened");
    append(&log, "b", [100]).await;
    log.close().await.expect("closed");
    drop(log);
    assert!(guarded(), "it was closed");
    assert_eq!(ids(&verify(&disk).expect("opened")).await.len() as u64, id + 3);
}

/// Nothing is left of such a segment.
#[tokio::test]
async fn a_log_whose_segment_begins_with_damage_is_repaired() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let mut id = 0;
    while disk.process().open(&segment(3), OpenMode::Read).is_err() {
        append(&log, "a", [id]).await;
        id += 1;
    }
    log.close().await.expect("closed");
    drop(log);
    disk.flip_bit(&segment(2), HEADER + 40, 3);
    let repaired = repair_on(Arc::new(disk.process()), FOLDER).expect("repaired").expect("there was damage");
    assert_eq!((repaired.damage.segment.as_str(), repaired.damage.byte), ("0000000002.log", HEADER));
    disk.crash(Crash::Dropped);
    let log = open(&disk).expect("opened");
    assert_eq!(ids(&log).await, Vec::from_iter(0..repaired.damage.position - 1));
    append(&log, "b", [1000]).await;
    log.close().await.expect("closed");
    drop(log);
    verify(&disk).expect("all is as it should be");
}

#[tokio::test]
async fn the_newest_batch_is_a_torn_tail_and_what_is_before_it_is_damage() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let second = written(&disk, 1).next_multiple_of(8);
    append(&log, "a", [1]).await;
    let third = written(&disk, 1).next_multiple_of(8);
    append(&log, "a", [2]).await;
    disk.crash(Crash::Dropped);
    drop(log);

    disk.flip_bit(&segment(1), second + 40, 3);
    let Err(Error::Damaged { place, problem }) = open(&disk).map(drop) else { panic!("it is damage") };
    assert_eq!(place, format!("segment 0000000001.log at byte {second}"));
    assert!(problem.contains(&format!("byte {third}")), "{problem}");
    disk.flip_bit(&segment(1), second + 40, 3);

    disk.flip_bit(&segment(1), third + 40, 3);
    let log = open(&disk).expect("a torn tail");
    assert_eq!(ids(&log).await, [0, 1]);
    // Having been opened, the log knows all that is left to be durable, also if it is not closed.
    disk.crash(Crash::Dropped);
    drop(log);
    disk.flip_bit(&segment(1), second + 40, 3);
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn what_was_cut_never_comes_back() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let second = written(&disk, 1).next_multiple_of(8);
    // The frame that is torn is as long as the mark and the frame that will stand in its place, so that the next
    // one of the cut tail would follow on.
    let long = Event::new("/test", "tested").subject(format!("s1{}", "x".repeat(32))).build();
    for event in [long, event(2), event(3)] {
        let batch = Batch::to_stream("a", [event]);
        log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
    }
    disk.crash(Crash::ProcessOnly);
    drop(log);
    disk.flip_bit(&segment(1), second + 40, 3);
    let log = open(&disk).expect("a torn tail");
    assert_eq!(ids(&log).await, [0]);
    append(&log, "a", [4]).await;
    disk.crash(Crash::Dropped);
    drop(log);
    assert_eq!(ids(&open(&disk).expect("opened")).await, [0, 4]);
}

#[tokio::test]
async fn what_was_cut_never_comes_back_though_the_sync_of_the_cut_failed() {
    let padded = |id: u128, padding: usize| {
        let event = Event::restore(EventId::from_u128(id), "/test", "tested", SystemTime::UNIX_EPOCH);
        Batch::to_stream("a", [event.subject("x".repeat(padding)).build()])
    };
    let mut ends_with_a_sector = 0;
    for padding in 200..712 {
        let disk = sim(1);
        let log = open(&disk).expect("opened");
        append(&log, "a", [0]).await;
        let second = written(&disk, 1).next_multiple_of(8);
        log.append(padded(1, padding), Condition::Any, Durability::Written).await.expect("appended");
        // What is written over it later must not touch the sector that the next frame is in.
        if !written(&disk, 1).next_multiple_of(8).is_multiple_of(512) {
            continue;
        }
        ends_with_a_sector += 1;
        log.append(padded(2, 0), Condition::Any, Durability::Written).await.expect("appended");
        disk.crash(Crash::ProcessOnly);
        drop(log);
        disk.process().open(&segment(1), OpenMode::Write).expect("there").sync_data().expect("synced");
        disk.flip_bit(&segment(1), second + 40, 3);
        disk.fail(DiskFault::SyncError { skip: 0 });
        open(&disk).map(drop).expect_err("the cut cannot be made durable");
        // The page cache holds zeros now, and the medium the tail.
        let log = open(&disk).expect("a torn tail");
        assert_eq!(ids(&log).await, [0]);
        // With the mark before it, it is as long as the frame that was cut.
        log.append(padded(3, padding - 32), Condition::Any, Durability::Durable).await.expect("appended");
        disk.crash(Crash::Dropped);
        drop(log);
        let found = ids(&open(&disk).expect("opened")).await;
        assert_eq!(found, [0, 3], "padded by {padding}");
    }
    assert!(ends_with_a_sector > 0);
}

#[tokio::test]
async fn a_segment_with_nothing_but_a_torn_tail_is_removed() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let (mut last, mut in_second) = (0, 0);
    while in_second < 3 {
        last += 1;
        try_append(&log, "a", [last], Durability::Written).await.expect("appended");
        in_second += u64::from(disk.process().open(&segment(2), OpenMode::Read).is_ok());
    }
    disk.crash(Crash::ProcessOnly);
    drop(log);
    disk.flip_bit(&segment(2), HEADER + 40, 3);
    let log = open(&disk).expect("a torn tail");
    assert_eq!(ids(&log).await, Vec::from_iter(1..=last - 3));
    assert!(disk.process().open(&segment(2), OpenMode::Read).is_err());
    append(&log, "a", [last - 2]).await;
    disk.crash(Crash::Dropped);
    drop(log);
    assert_eq!(ids(&open(&disk).expect("opened")).await, Vec::from_iter(1..=last - 2));
}

#[tokio::test]
async fn a_segment_that_was_left_is_known_to_be_durable() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let mut id = 0;
    while disk.process().open(&segment(2), OpenMode::Read).is_err() {
        id += 1;
        try_append(&log, "a", [id], Durability::Written).await.expect("appended");
    }
    disk.crash(Crash::ProcessOnly);
    drop(log);
    disk.flip_bit(&segment(1), HEADER + 40, 3);
    let Err(Error::Damaged { problem, .. }) = verify(&disk).map(drop) else { panic!("it is damage") };
    assert!(problem.contains("segment 0000000002.log"), "{problem}");
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    for id in 0..200 {
        append(&log, "a", [id]).await;
    }
    log.close().await.expect("closed");
    disk.process().remove(&segment(2)).expect("removed");
    let Err(Error::Damaged { place, .. }) = open(&disk).map(drop) else { panic!("it is damage") };
    assert_eq!(place, "segment 0000000002.log");
}

#[tokio::test]
async fn damage_met_while_reading_ends_the_stream() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    append(&log, "a", [1]).await;
    disk.flip_bit(&segment(1), HEADER + 40, 0);
    let error = crate::support::all(&log).await.expect_err("damaged");
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}
