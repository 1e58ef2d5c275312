use std::time::{Duration, Instant};

use serde_json::json;
use steadfast_backends::change::Operation;
use steadfast_backends::sqlite::changes::{Changes, Config};
use steadfast_base::Seed;
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::{Error, Link, Outcome, Source, Start, Subscribe};

use crate::support::{SOON, close, database, expect_nothing_before, handle, open, receive, settle};

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v)";

#[tokio::test(flavor = "multi_thread")]
async fn changes_from_before_a_restart_arrive_and_handled_ones_do_not() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)");
    let received = receive(&*receiver, 3).await;
    settle(&*receiver, &received[..2], Outcome::Handled).await;
    close(&*receiver).await;
    assert!(receiver.receive(1).await.expect("it is closed").is_empty());
    assert_eq!(*receiver.link().borrow(), Link::Closed);

    database.run("INSERT INTO t VALUES (4, 0)");
    let receiver = open(&database.changes(&["t"]), "a").await;
    let again = receive(&*receiver, 2).await;
    assert_eq!(again[0].event, received[2].event, "also its identity is the same");
    assert_eq!(again[1].event.subject(), Some("t/4"));
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_never_happened_and_transactions_keep_order() {
    let database = database(&format!("{TABLE}; CREATE TABLE u (id INTEGER PRIMARY KEY)"));
    let receiver = open(&database.changes(&["t", "u"]), "a").await;
    database.run("BEGIN; INSERT INTO t VALUES (1, 0); ROLLBACK");
    database.run(
        "BEGIN; INSERT INTO u VALUES (1); INSERT INTO t VALUES (2, 0); INSERT INTO u VALUES (3); COMMIT",
    );
    let tables: Vec<String> = handle(&*receiver, 3).await.into_iter().map(|change| change.table).collect();
    assert_eq!(tables, ["u", "t", "u"]);
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_while_running_is_told() {
    let database = database(TABLE);
    let receiver = open(&database.changes(&["t"]), "a").await;
    database.run("INSERT INTO t VALUES (1, 0)");
    handle(&*receiver, 1).await;
    database.run("ALTER TABLE t ADD COLUMN extra TEXT DEFAULT 'none'");
    // The triggers are made anew at the next poll; how soon is told by the rows.
    let told = async {
        for id in 2.. {
            database.run(&format!("INSERT INTO t (id, v, extra) VALUES ({id}, 0, 'more')"));
            let change = handle(&*receiver, 1).await.remove(0);
            if let Some(extra) = change.after.expect("a row").get("extra") {
                return extra.clone();
            }
        }
        json!(null)
    };
    assert_eq!(tokio::time::timeout(SOON, told).await.expect("soon"), json!("more"));
    database.run("ALTER TABLE t RENAME COLUMN v TO w");
    let renamed = async {
        loop {
            database.run("UPDATE t SET w = 1 WHERE id = 1");
            let change = handle(&*receiver, 1).await.remove(0);
            if change.after.is_some_and(|row| row.contains_key("w")) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, renamed).await.expect("soon");
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_this_process_wakes_the_receiver() {
    let mut database = database(TABLE);
    // Nobody polls in time.
    let config = Config { poll: "1h".parse().expect("an hour"), ..database.config(&["t"]) };
    let changes = Changes::new(config).expect("it is right");
    changes.wake_on(&mut database.connection).expect("it takes the hook");
    let receiver = open(&changes, "a").await;
    for id in 0..20 {
        database.run(&format!("INSERT INTO t VALUES ({id}, 0)"));
        handle(&*receiver, 1).await;
    }
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_asked_for_is_in_flight() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    let subscribe = Subscribe { in_flight_max: 4, ..Subscribe::new("a") };
    let receiver = changes.open(&subscribe).await.expect("it opens");
    for id in 1..=50 {
        database.run(&format!("INSERT INTO t VALUES ({id}, 0)"));
    }
    let mut held = receive(&*receiver, 4).await;
    let more = tokio::time::timeout(std::time::Duration::from_millis(30), receiver.receive(9)).await;
    assert!(more.is_err(), "it waits");
    let mut seen = 0;
    while seen < 50 {
        seen += held.len();
        settle(&*receiver, &held, Outcome::Handled).await;
        held = receive(&*receiver, 4.min(50 - seen)).await;
    }
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_event_comes_again_in_order() {
    let database = database(TABLE);
    let receiver = open(&database.changes(&["t"]), "a").await;
    database.run("INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)");
    let received = receive(&*receiver, 3).await;
    settle(&*receiver, &received[..2], Outcome::Released).await;
    let again = receive(&*receiver, 2).await;
    assert_eq!((again[0].event.subject(), again[0].redeliveries), (Some("t/1"), 1));
    assert_eq!(again[1].event.subject(), Some("t/2"));
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_can_begin_with_what_is_new() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    changes.install().await.expect("it installs");
    database.run("INSERT INTO t VALUES (1, 0)");
    let subscribe = Subscribe { start: Start::New, ..Subscribe::new("new") };
    let new = changes.open(&subscribe).await.expect("it opens");
    let old = open(&changes, "old").await;
    database.run("INSERT INTO t VALUES (2, 0)");
    expect_nothing_before(&*new, "t/2").await;
    expect_nothing_before(&*old, "t/1").await;
    close(&*new).await;
    close(&*old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_its_mend() {
    let database = database(TABLE);
    let error = |result: Result<(), Error>| result.expect_err("it is wrong").to_string();
    let absent = error(database.changes(&["missing"]).install().await);
    assert!(absent.contains("no table `missing`: create it first"), "{absent}");
    assert!(error(Changes::new(database.config(&[])).map(drop)).contains("name the tables to watch"));
    assert!(error(Changes::new(database.config(&["steadfast_groups"])).map(drop)).contains("belongs to"));
    let nowhere = Config { path: "/nowhere/shop.db".into(), ..database.config(&["t"]) };
    error(Changes::new(nowhere).expect("it is not looked at yet").install().await);

    database.changes(&["t"]).install().await.expect("it installs");
    database.run("UPDATE steadfast_meta SET value = 99 WHERE name = 'version'");
    let newer = error(database.changes(&["t"]).install().await);
    assert!(newer.contains("version 99, made by a newer release"), "{newer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_triggers_nothing_is_told() {
    let database = database(TABLE);
    let changes = database.changes(&["t"]);
    changes.install().await.expect("it installs");
    changes.uninstall().await.expect("it uninstalls");
    database.run("INSERT INTO t VALUES (1, 0); ALTER TABLE t DROP COLUMN v");
    changes.install().await.expect("it installs again");
    database.run("DELETE FROM t");
    let receiver = open(&changes, "a").await;
    let change = handle(&*receiver, 1).await.remove(0);
    assert_eq!((change.operation, json!(change.before)), (Operation::Delete, json!({"id": 1})));
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_at_whatever_moment_it_is_made() {
    let database = database("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let config = Config { poll: HumanDuration(Duration::from_millis(1)), ..database.config(&["t"]) };
    let changes = Changes::new(config).expect("it is right");
    let receiver = open(&changes, "a").await;
    let mut rng = Seed::new(1).rng();
    for id in 0..1000 {
        let until = Instant::now() + Duration::from_micros(rng.below(1500));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        // Each is the last one for as long as it is not noticed.
        database.run(&format!("INSERT INTO t VALUES ({id})"));
        handle(&*receiver, 1).await;
    }
    close(&*receiver).await;
}
