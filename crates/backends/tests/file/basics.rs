use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::{Crash, DiskFault};
use steadfast_base::units::Size;
use steadfast_core::Event;
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, Error, EventStore, Expected, Filter, NewEvent, Outcome,
    Position, Query, Revision,
};

use crate::support::{all, append, event, ids, open, sim, small, try_append};

#[tokio::test]
async fn what_was_appended_is_there_after_opening_again() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    for batch in 0..50 {
        append(&log, if batch % 2 == 0 { "a" } else { "b" }, [batch * 2, batch * 2 + 1]).await;
    }
    let before = all(&log).await.expect("readable");
    assert_eq!(before.len(), 100);
    assert_eq!(log.revision("b").await.expect("open"), Some(Revision(49)));
    log.close().await.expect("closed");
    assert!(matches!(log.head().await, Err(Error::Closed)));
    assert!(matches!(try_append(&log, "a", [1000], Durability::Accepted).await, Err(Error::Closed)));

    let log = open(&disk).expect("opened again");
    assert_eq!(all(&log).await.expect("readable"), before);
    assert_eq!(append(&log, "b", [100]).await.revision, Revision(50));
}

#[tokio::test]
async fn reads_go_both_ways_by_stream_and_with_limits() {
    let log = open(&sim(1)).expect("opened");
    for id in 0..200 {
        append(&log, &format!("s{}", id % 3), [id]).await;
    }
    let read = async |query: Query| -> Vec<u64> {
        let events: Vec<_> = log.read(query).try_collect().await.expect("readable");
        events.iter().map(|stored| stored.position.parts().0 - 1).collect()
    };
    let backward = |filter: Filter| Query { filter, direction: Direction::Backward, ..Query::default() };
    assert_eq!(read(Query::default()).await, Vec::from_iter(0..200));
    assert_eq!(read(backward(Filter::all())).await, Vec::from_iter((0..200).rev()));
    assert_eq!(read(Query::stream("s1")).await, Vec::from_iter((1..200).step_by(3)));
    assert_eq!(
        read(backward(Filter::stream("s2"))).await,
        Vec::from_iter((0..66).rev().map(|third| third * 3 + 2))
    );
    let from = |at| Some(Position::from_parts(at, 0));
    assert_eq!(read(Query { from: from(198), ..Query::default() }).await, [198, 199]);
    assert_eq!(read(Query { from: from(3), ..backward(Filter::all()) }).await, [1, 0]);
    assert_eq!(read(Query { limit: Some(2), ..Query::stream("s0") }).await, [0, 3]);
    assert_eq!(read(Query { limit: Some(0), ..Query::default() }).await, [0_u64; 0]);
    let two = Filter { streams: vec!["s0".into(), "s2".into()], ..Filter::default() };
    assert_eq!(read(Query { limit: Some(3), ..backward(two) }).await, [198, 197, 195]);
    let subject = Filter { subjects: vec!["s77".into()], ..Filter::default() };
    assert_eq!(read(Query { filter: subject, ..Query::default() }).await, [77]);
}

#[tokio::test]
async fn a_subscription_goes_on_with_what_comes_and_ends_with_the_log() {
    let log = Arc::new(open(&sim(1)).expect("opened"));
    append(&log, "a", 0..20).await;
    let writer = Arc::clone(&log);
    let writing = tokio::spawn(async move {
        for id in 20..100 {
            append(&writer, "a", [id]).await;
        }
        writer.close().await.expect("closed");
    });
    let seen: Vec<_> =
        log.subscribe(Filter::all(), Position::START).try_collect().await.expect("it ends without error");
    writing.await.expect("no panic");
    let seen: Vec<u64> = seen.iter().map(|stored| stored.event.id().as_u128() as u64).collect();
    assert_eq!(seen, Vec::from_iter(0..100));
}

#[tokio::test]
async fn a_condition_on_a_filter_is_checked_beyond_memory() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [1]).await;
    append(&log, "b", [2, 3]).await;
    drop(log);
    let log = open(&disk).expect("opened");
    let condition = |subject: &str, after| Condition::NoneMatching {
        filter: Filter { subjects: vec![subject.into()], ..Filter::default() },
        after: Position::from_parts(after, 0),
    };
    let try_with = async |id, condition| {
        let appended = log.append(Batch::to_stream("c", [event(id)]), condition, Durability::Written).await;
        appended.map(|appended| appended.position.parts().0)
    };
    assert!(matches!(try_with(4, condition("s2", 1)).await, Err(Error::Conflict { .. })));
    assert_eq!(try_with(4, condition("s2", 2)).await.expect("it is before"), 4);
    assert!(matches!(try_with(5, condition("s4", 2)).await, Err(Error::Conflict { .. })));
    assert_eq!(try_with(5, condition("s5", 0)).await.expect("there is none"), 5);
}

#[tokio::test]
async fn a_repeated_batch_is_recognised_and_a_mixed_one_refused() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [1, 2]).await;
    drop(log);
    let log = open(&disk).expect("opened");
    let batch = Batch::to_stream("a", [event(1), event(2)]);
    let condition = Condition::stream("a", Expected::NoStream);
    let again = log.append(batch, condition, Durability::Durable).await.expect("known");
    assert!(again.duplicate);
    assert_eq!((again.position.parts().0, again.revision), (2, Revision(1)));
    for (stream, wrong) in
        [("a", vec![2, 1]), ("a", vec![2, 3]), ("a", vec![3, 2]), ("b", vec![1, 2]), ("a", vec![5, 5])]
    {
        let refused = try_append(&log, stream, wrong.clone(), Durability::Written).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{wrong:?}");
    }
    assert_eq!(ids(&log).await, [1, 2]);
}

#[tokio::test]
async fn one_batch_writes_to_several_streams() {
    let log = open(&sim(1)).expect("opened");
    let new = |stream: &str, id| NewEvent { stream: stream.into(), event: event(id) };
    let batch = Batch { events: vec![new("a", 1), new("b", 2), new("a", 3)] };
    let appended = log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
    assert_eq!((appended.position.parts().0, appended.revision), (3, Revision(1)));
    assert_eq!(log.revision("b").await.expect("open"), Some(Revision(0)));
}

#[tokio::test]
async fn a_batch_that_cannot_be_stored_is_refused_before_anything_is_written() {
    let log = open(&sim(1)).expect("opened");
    let large = Event::new("/test", "large").data("application/octet-stream", vec![0; 4096]);
    for (stream, events) in [("a", vec![]), ("", vec![event(1)]), ("a", vec![large])] {
        let refused = log.append(Batch::to_stream(stream, events), Condition::Any, Durability::Written).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
    let refused = try_append(&log, "a", [1], Durability::Replicated).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    assert_eq!(log.head().await.expect("open"), Position::START);
}

#[tokio::test]
async fn a_second_writer_is_kept_out_and_told_of_the_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = FileLog::open(folder.path(), small()).expect("opened");
    let error = FileLog::open(folder.path(), small()).expect_err("locked");
    assert!(matches!(&error, Error::Locked { path } if path.ends_with("lock")), "{error}");
    log.close().await.expect("closed");
    FileLog::open(folder.path(), small()).expect("the lock is given back when the log closes");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_accepted_until_it_is_opened_again() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "a", [1]).await;
    disk.fail(DiskFault::SyncError { skip: 0 });
    let failed = try_append(&log, "a", [2], Durability::Durable).await.expect_err("told to fail");
    assert_eq!(failed.outcome(), Outcome::Unknown);
    let refused = try_append(&log, "a", [3], Durability::Accepted).await.expect_err("poisoned");
    assert!(matches!(refused, Error::Poisoned));
    let repeated = try_append(&log, "a", [2], Durability::Durable).await.expect_err("poisoned");
    assert_eq!(repeated.outcome(), Outcome::Unknown);
    log.close().await.expect_err("not all that was accepted is safe");
    drop(log);

    let log = open(&disk).expect("opened again");
    assert_eq!(ids(&log).await, [1, 2], "the cache still had it");
    append(&log, "a", [4]).await;
    drop(log);
    // What was read back from the cache has been written again, for the failed sync left it clean.
    disk.crash(Crash::Dropped);
    assert_eq!(ids(&open(&disk).expect("opened")).await, [1, 2, 4]);
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_leaves_nothing_behind() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let mut appended = Vec::new();
    let error = loop {
        let id = appended.len() as u64;
        // The first segment is there already, so only the second can meet a full disk.
        if id == 5 {
            disk.fail(DiskFault::WriteFull { skip: 40 });
        }
        match try_append(&log, "a", [id], Durability::Durable).await {
            Ok(_) => appended.push(id),
            Err(error) => break error,
        }
        assert!(id < 200, "the fault never came");
    };
    drop(log);
    let found = ids(&open(&disk).expect("opened again")).await;
    match error.outcome() {
        Outcome::NotAppended => assert_eq!(found, appended),
        Outcome::Unknown => assert!(found.starts_with(&appended)),
    }
}

#[tokio::test]
async fn a_queue_that_is_full_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { queue_size_max: Size::from_bytes(1), ..small() };
    let log = FileLog::open(folder.path(), config).expect("opened");
    let mut overloaded = 0;
    for id in 0..5000 {
        match try_append(&log, "a", [id], Durability::Accepted).await {
            Ok(_) => {}
            Err(Error::Overloaded) => overloaded += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(overloaded > 0);
    let readable = || async { all(&log).await.expect("readable").len() };
    log.subscribe(Filter::all(), Position::START).take(5000 - overloaded).count().await;
    assert_eq!(readable().await, 5000 - overloaded);
}

#[tokio::test]
async fn the_next_segment_is_prepared_ahead() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = FileLog::open(folder.path(), Config { prepare_ahead: true, ..small() }).expect("opened");
    for id in 0..300 {
        append(&log, "a", [id]).await;
    }
    log.close().await.expect("closed");
    let log = FileLog::open(folder.path(), small()).expect("opened");
    assert_eq!(ids(&log).await, Vec::from_iter(0..300));
    assert!(folder.path().join("0000000005.log").exists());
}
