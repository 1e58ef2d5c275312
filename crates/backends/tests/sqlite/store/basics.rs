use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use steadfast_backends::sqlite::rusqlite::Connection;
use steadfast_backends::sqlite::store::{Config, SqliteStore};
use steadfast_core::Event;
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Expected, Filter, Position, Query, Revision,
};

fn event(kind: &str) -> Event {
    Event::new("/sqlite", kind).data("text/plain", kind.to_owned())
}

async fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(Config::at(folder.path().join("events.db"))).await.expect("opened")
}

/// Two stores on one database stand for two processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_append_and_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (open(&folder).await, open(&folder).await);
    let mut seen = there.subscribe(Filter::all(), Position::START);
    for number in 0..20_u64 {
        let store = if number % 2 == 0 { &here } else { &there };
        let expected =
            number.checked_sub(1).map_or(Expected::NoStream, |last| Expected::Revision(Revision(last)));
        let batch = Batch::to_stream("s", [event(&number.to_string())]);
        let appended = store.append(batch, Condition::stream("s", expected), Durability::Written).await;
        assert_eq!(appended.map(|appended| appended.revision).ok(), Some(Revision(number)));
        let next = tokio::time::timeout(Duration::from_secs(10), seen.next()).await.expect("in time");
        assert_eq!(next.and_then(Result::ok).map(|stored| stored.revision), Some(Revision(number)));
    }
    let late = Batch::to_stream("s", [event("late")]);
    let late = here
        .append(late, Condition::stream("s", Expected::Revision(Revision(18))), Durability::Written)
        .await;
    assert!(matches!(late, Err(Error::Conflict { actual: Some(Revision(19)), .. })), "{late:?}");
    here.delete("s", None, Durability::Durable).await.expect("deleted");
    let next =
        there.append(Batch::to_stream("s", [event("next")]), Condition::Any, Durability::Written).await;
    assert_eq!(next.map(|appended| appended.revision).ok(), Some(Revision(20)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_it_locked_makes_it_overloaded_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.db");
    let config = Config { busy_timeout: "100ms".parse().expect("a duration"), ..Config::at(&path) };
    let store = SqliteStore::open(config).await.expect("opened");
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let batch = Batch::to_stream("s", [event("e")]);
    let busy = store.append(batch.clone(), Condition::Any, Durability::Durable).await;
    assert!(matches!(busy, Err(Error::Overloaded)), "{busy:?}");
    other.execute_batch("ROLLBACK").expect("unlocked");
    store.append(batch, Condition::Any, Durability::Durable).await.expect("it goes on");
}

#[tokio::test]
async fn tables_of_a_newer_version_and_other_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.db");
    open(&folder).await.close().await.expect("closed");
    Connection::open(&path)
        .and_then(|connection| connection.execute("UPDATE steadfast_log SET version = 99", []))
        .expect("changed");
    let newer = SqliteStore::open(Config::at(&path)).await.expect_err("made by a newer version");
    assert!(matches!(&newer, Error::Unsupported { what } if what.contains("newer version")), "{newer}");
    std::fs::write(&path, vec![b'x'; 4096]).expect("written");
    let other = SqliteStore::open(Config::at(&path)).await.expect_err("no database");
    assert!(matches!(other, Error::Damaged { .. }), "{other}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_nothing_behind_it_is_returned() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder).await;
    for kind in ["1", "2", "3"] {
        store
            .append(Batch::to_stream("s", [event(kind)]), Condition::Any, Durability::Written)
            .await
            .expect("appended");
    }
    Connection::open(folder.path().join("events.db"))
        .and_then(|connection| {
            connection.execute("UPDATE steadfast_events SET id = x'00' WHERE position = 2", [])
        })
        .expect("changed");
    let error = store.read(Query::default()).try_collect::<Vec<_>>().await.expect_err("damaged");
    assert!(
        matches!(&error, Error::Damaged { place, .. } if place == "row 2 of steadfast_events"),
        "{error}"
    );
}

/// What version 1 of the format looks like, so that later ones show that they can read it.
#[tokio::test]
async fn tables_of_version_1_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.db");
    Connection::open(&path)
        .and_then(|connection| connection.execute_batch(include_str!("v1.sql")))
        .expect("restored");
    let store = SqliteStore::open(Config::at(&path)).await.expect("opened");
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    let seen: Vec<_> = events
        .iter()
        .map(|stored| {
            let position = stored.position.parts().0;
            (position, &*stored.stream, stored.revision.0, stored.event.kind(), stored.event.subject())
        })
        .collect();
    assert_eq!(
        seen,
        [(1, "order-1", 0, "order.created", Some("1")), (2, "order-1", 1, "order.shipped", None)]
    );
    assert_eq!(events[0].event.extensions().get("commandid").map(String::as_str), Some("k"));
    assert_eq!(events[0].event.data(), "{\"total\":5}");
    let next =
        store.append(Batch::to_stream("order-1", [event("e")]), Condition::Any, Durability::Durable).await;
    assert_eq!(
        next.map(|appended| (appended.position.parts().0, appended.revision)).ok(),
        Some((5, Revision(2)))
    );
}
