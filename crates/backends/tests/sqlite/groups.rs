use std::time::Duration;

use rusqlite::Connection;
use steadfast_backends::sqlite::changes::{Changes, Config};
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::{Error, Link, Outcome, Settlement, Source, Subscribe};

use crate::support::{SOON, close, database, handle, open, receive, settle};

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE u (id INTEGER PRIMARY KEY)";

fn recorded(connection: &Connection) -> u32 {
    let sql = "SELECT count(*) FROM steadfast_changes";
    connection.query_row(sql, [], |row| row.get(0)).expect("it counts")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_group_gets_all_and_what_all_have_handled_is_deleted() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    let (a, b) = (open(&changes, "a").await, open(&changes, "b").await);
    let other = open(&database.changes(&["u"]), "of another table").await;
    for id in 0..100 {
        database.run(&format!("INSERT INTO t VALUES ({id})"));
    }
    handle(&*a, 100).await;
    close(&*a).await;
    assert_eq!(recorded(&database.connection), 100, "one group needs them still");
    let backlog = async |group| changes.backlog(group).await.expect("it counts");
    assert_eq!((backlog("a").await, backlog("b").await, backlog("c").await), (Some(0), Some(100), None));
    handle(&*b, 100).await;
    database.run("INSERT INTO u VALUES (1)");
    handle(&*other, 1).await;
    close(&*other).await;
    close(&*b).await;
    assert_eq!(recorded(&database.connection), 1, "only what comes after is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_receiver_of_a_group_is_active_and_the_next_goes_on() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    let first = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1), (2)");
    let received = receive(&*first, 2).await;
    settle(&*first, &received[..1], Outcome::Handled).await;
    let second = open(&changes, "a").await;
    assert_eq!(*second.link().borrow(), Link::Connecting, "it stands by");
    // Dropped, not closed: what it held goes to the other.
    drop(first);
    let again = receive(&*second, 1).await;
    assert_eq!(again[0].event.subject(), Some("t/2"));
    close(&*second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_too_far_behind_is_given_up_and_told_so() {
    let database = database(TABLE);
    let config = Config { backlog_max: 10, ..database.config(&["t"]) };
    let changes = Changes::new(config).expect("it is right");
    close(&*open(&changes, "slow").await).await;
    let quick = open(&changes, "quick").await;
    for id in 0..30 {
        database.run(&format!("INSERT INTO t VALUES ({id})"));
    }
    handle(&*quick, 30).await;
    close(&*quick).await;
    assert_eq!(recorded(&database.connection), 0, "the disk is not filled for it");

    let slow = open(&changes, "slow").await;
    let refused = tokio::time::timeout(SOON, slow.receive(1)).await.expect("soon");
    let error = refused.expect_err("changes are lost to it");
    assert!(
        matches!(&error, Error::Rejected { reason, .. } if reason.contains("forget the group")),
        "{error}"
    );
    close(&*slow).await;
    changes.forget_group("slow").await.expect("it is forgotten");
    let slow = open(&changes, "slow").await;
    database.run("INSERT INTO t VALUES (100)");
    handle(&*slow, 1).await;
    close(&*slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_given_up_while_it_receives_is_told_so() {
    let database = database(TABLE);
    let changes = Changes::new(Config { backlog_max: 10, ..database.config(&["t"]) }).expect("it is right");
    let subscribe = Subscribe { in_flight_max: 1, ..Subscribe::new("slow") };
    let slow = changes.open(&subscribe).await.expect("it opens");
    let quick = open(&changes, "quick").await;
    database.run("INSERT INTO t VALUES (0)");
    let held = receive(&*slow, 1).await;
    for id in 1..30 {
        database.run(&format!("INSERT INTO t VALUES ({id})"));
    }
    handle(&*quick, 30).await;
    close(&*quick).await;
    assert_eq!(recorded(&database.connection), 0, "the disk is not filled for it");
    database.run("INSERT INTO t VALUES (100)");

    settle(&*slow, &held, Outcome::Handled).await;
    let refused = tokio::time::timeout(SOON, slow.receive(1)).await.expect("soon");
    let error = refused.expect_err("29 changes are lost to it, and the next is not the one after");
    assert!(error.to_string().contains("forget the group"), "{error}");
    close(&*slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_not_forgotten_while_it_receives() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1)");
    let received = receive(&*receiver, 1).await;
    let error = changes.forget_group("a").await.expect_err("it is open");
    assert!(error.to_string().contains("close it first"), "{error}");
    settle(&*receiver, &received, Outcome::Handled).await;
    close(&*receiver).await;
    changes.forget_group("a").await.expect("it is closed");
    assert_eq!(changes.backlog("a").await.expect("it counts"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_read_is_not_passed_over() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    let receiver = open(&changes, "a").await;
    database.run("BEGIN; INSERT INTO t VALUES (1), (2), (3); UPDATE steadfast_changes SET row_key = '{' WHERE seq = 2; COMMIT");
    handle(&*receiver, 1).await;
    let refused = tokio::time::timeout(SOON, receiver.receive(1)).await.expect("soon");
    let error = refused.expect_err("the second cannot be read");
    assert!(error.to_string().contains("the change 2 in steadfast_changes"), "{error}");
    close(&*receiver).await;
    database.run("DELETE FROM steadfast_changes WHERE seq = 2");
    let receiver = open(&changes, "a").await;
    let next = receive(&*receiver, 1).await;
    assert_eq!(next[0].event.subject(), Some("t/3"));
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_noted_is_noted_later() {
    let database = database(TABLE);
    let busy_timeout = HumanDuration(Duration::from_millis(50));
    let config = Config { busy_timeout, ..database.config(&["t"]) };
    let changes = Changes::new(config).expect("it is right");
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1)");
    let received = receive(&*receiver, 1).await;
    // Another process writes for longer than is waited.
    database.run("BEGIN IMMEDIATE");
    let handled = [Settlement { token: received[0].token, outcome: Outcome::Handled }];
    let error = receiver.settle(&handled).await.expect_err("it cannot be noted");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    database.run("COMMIT");
    let noted = async {
        while changes.backlog("a").await.expect("it counts") != Some(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, noted).await.expect("it is noted, though nothing more is settled");
    close(&*receiver).await;
}
