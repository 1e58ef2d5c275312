//! Damage is told from a torn tail, and is never skipped.

use std::path::Path;

use steadfast_base::disk::{Disk, OpenMode, SimDisk};
use steadfast_core::store::{Error, EventStore};

use crate::support::{FOLDER, append, ids, open, sim};

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

#[tokio::test]
async fn the_newest_batch_is_a_torn_tail_and_what_is_before_it_is_damage() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let second = written(&disk, 1).next_multiple_of(8);
    append(&log, "a", [1]).await;
    let third = written(&disk, 1).next_multiple_of(8);
    append(&log, "a", [2]).await;
    disk.crash(steadfast_base::disk::Crash::Dropped);
    drop(log);

    disk.flip_bit(&segment(1), second + 40, 3);
    let Err(Error::Damaged { place, problem }) = open(&disk).map(drop) else { panic!("it is damage") };
    assert_eq!(place, format!("segment 0000000001.log at byte {second}"));
    assert!(problem.contains(&format!("byte {third}")), "{problem}");
    disk.flip_bit(&segment(1), second + 40, 3);

    disk.flip_bit(&segment(1), third + 40, 3);
    assert_eq!(ids(&open(&disk).expect("a torn tail")).await, [0, 1]);
    // Having been opened, the log knows all that is left to be durable.
    disk.flip_bit(&segment(1), second + 40, 3);
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn what_was_cut_never_comes_back() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [0]).await;
    let second = written(&disk, 1).next_multiple_of(8);
    // Three batches of which nobody says that they were durable: they went into the queue together.
    let queued = [1, 2, 3].map(|id| {
        let batch = steadfast_core::store::Batch::to_stream("a", [crate::support::event(id)]);
        log.append(batch, steadfast_core::store::Condition::Any, steadfast_core::store::Durability::Written)
    });
    futures::future::join_all(queued).await;
    disk.crash(steadfast_base::disk::Crash::ProcessOnly);
    drop(log);
    disk.flip_bit(&segment(1), second + 40, 3);
    let log = open(&disk).expect("a torn tail");
    assert_eq!(ids(&log).await, [0]);
    // A batch as long as the one that was torn ends where the next one of the cut tail stood.
    append(&log, "a", [4]).await;
    disk.crash(steadfast_base::disk::Crash::Dropped);
    drop(log);
    assert_eq!(ids(&open(&disk).expect("opened")).await, [0, 4]);
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
