//! A server that says nothing, and one that has thrown away what was not handled.

use std::process::Command;
use std::time::Duration;

use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::{Error, Link, Outcome, Source, Subscribe};
use steadfast_servers::Postgres;

use super::support::{Database, SOON, client, close, config, handle, hold_server, open, settle, until};

async fn signal(name: &'static str, pid: i32) {
    let kill = move || Command::new("kill").args([name, &pid.to_string()]).status();
    let status = tokio::task::spawn_blocking(kill).await.expect("no panic").expect("kill is there");
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_noticed_and_an_idle_one_is_not_taken_for_silent() {
    let database = Database::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let silence_max = HumanDuration(Duration::from_millis(600));
    let settings = Settings { silence_max, ..database.settings(&["t"]) };
    let changes = Changes::new(database.config.clone(), settings).expect("it is right");
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1)").await;
    handle(&*receiver, 1).await;
    // Nothing happens for longer than the silence that is allowed: the server is asked, and answers.
    let mut link = receiver.link();
    let is_down = |link: &Link| matches!(link, Link::Down { .. });
    let waited = tokio::time::timeout(Duration::from_secs(1), link.wait_for(is_down)).await.map(drop);
    assert!(waited.is_err(), "it is taken for lost");

    let sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
    let slot = format!("{}_a", database.config.database);
    let pid: i32 = database.client.query_one(sql, &[&slot]).await.expect("it answers").get(0);
    signal("-STOP", pid).await;
    let noticed = tokio::time::timeout(SOON, link.wait_for(is_down)).await.map(drop);
    signal("-CONT", pid).await;
    noticed.expect("it is noticed soon");
    database.run("INSERT INTO t VALUES (2)").await;
    handle(&*receiver, 1).await;
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_log_was_removed_is_told_with_what_to_do() {
    let _shared = hold_server().await;
    let start = || {
        let settings =
            [("max_slot_wal_keep_size", "1MB"), ("min_wal_size", "32MB"), ("max_wal_size", "32MB")];
        Postgres::start_with(&settings)
    };
    let server = tokio::task::spawn_blocking(start).await.expect("no panic").expect("it starts");
    let config = config(&server, "postgres");
    let admin = client(&config).await;
    admin.batch_execute("CREATE TABLE t (id int PRIMARY KEY, body text)").await.expect("it is made");
    // By which a lost connection is noticed soon, also while nothing is read.
    let silence_max = HumanDuration(Duration::from_millis(600));
    let settings = Settings { tables: vec!["t".into()], silence_max, ..Settings::default() };
    let changes = Changes::new(config, settings).expect("it is right");
    let subscribe = Subscribe { in_flight_max: 1, ..Subscribe::new("slow") };
    let receiver = changes.open(&subscribe).await.expect("it opens");
    // It holds one event, and so reads no more; the log goes on without it.
    admin.batch_execute("INSERT INTO t VALUES (0, '')").await.expect("it is inserted");
    let held = receiver.receive(1).await.expect("it receives");
    until(async || {
        for id in 0..20 {
            let fill = "INSERT INTO t SELECT max(id) + 1, repeat('x', 4000) FROM t";
            admin.batch_execute(fill).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
        admin.batch_execute("SELECT pg_switch_wal(); CHECKPOINT").await.expect("it is done");
        let status = changes.status("slow").await.expect("it answers").expect("there is a slot");
        status.wal_status == "lost"
    })
    .await;
    drop(held);
    let refused = async {
        loop {
            match receiver.receive(1).await {
                Ok(received) => settle(&*receiver, &received, Outcome::Released).await,
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(SOON, refused).await.expect("it is told soon");
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("drop the group"), "{error}");
    let error = changes.install("slow").await.expect_err("its log is lost");
    assert!(error.to_string().contains("drop the group"), "{error}");
    close(&*receiver).await;
    changes.drop_group("slow").await.expect("it is dropped");
    changes.install("slow").await.expect("it begins anew");
}
