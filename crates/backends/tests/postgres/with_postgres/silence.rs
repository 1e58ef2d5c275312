//! A server that says nothing, one that has thrown away what was not handled, and one that becomes another.

use std::process::Command;
use std::time::Duration;

use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::{Error, Link, Outcome, Source, Subscribe};
use steadfast_servers::Postgres;

use super::support::{
    Database, SOON, client, close, config, handle, hold_server, open, receive, settle, until,
};

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
    let held = tokio::time::timeout(SOON, receiver.receive(1)).await.expect("it comes").expect("it receives");
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

/// Lets the server begin another history of its cluster, as a standby does that is promoted.
async fn promote(mut server: Postgres) -> Postgres {
    let restart = move || {
        server.kill();
        let signal = server.folder().join("data/standby.signal");
        std::fs::write(&signal, "").expect("the folder is there");
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&signal, all).expect("it was just made");
        server.restart().map(|()| server)
    };
    let server = tokio::task::spawn_blocking(restart).await.expect("no panic").expect("it starts again");
    let admin = client(&config(&server, "postgres")).await;
    let promoted: bool = admin.query_one("SELECT pg_promote()", &[]).await.expect("it answers").get(0);
    assert!(promoted);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_promoted_is_read_on() {
    let _shared = hold_server().await;
    let server = tokio::task::spawn_blocking(Postgres::start).await.expect("no panic").expect("it starts");
    let config = config(&server, "postgres");
    let before = client(&config).await;
    before.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.expect("it is made");
    let settings = Settings { tables: vec!["t".into()], ..Settings::default() };
    let changes = Changes::new(config.clone(), settings).expect("it is right");
    let receiver = open(&changes, "a").await;
    before.batch_execute("INSERT INTO t VALUES (1)").await.expect("it is inserted");
    handle(&*receiver, 1).await;
    before.batch_execute("INSERT INTO t VALUES (2)").await.expect("it is inserted");
    let held = receive(&*receiver, 1).await;

    let _server = promote(server).await;
    let after = client(&config).await;
    let sql = "SELECT pg_walfile_name(pg_current_wal_lsn())";
    let file: String = after.query_one(sql, &[]).await.expect("it answers").get(0);
    assert!(file.starts_with("00000002"), "another history is written: {file}");
    after.batch_execute("INSERT INTO t VALUES (3)").await.expect("it is inserted");
    until(async || *receiver.link().borrow() == Link::Up).await;
    // What was held comes again from the other server, and is the same event; a word on the first means nothing to it.
    settle(&*receiver, &held, Outcome::Handled).await;
    let mut again = Vec::new();
    while again.last() != Some(&"public.t/3".to_owned()) {
        let received = receive(&*receiver, 1).await;
        settle(&*receiver, &received, Outcome::Handled).await;
        let event = &received[0].event;
        let subject = event.subject().unwrap_or_default();
        assert_eq!(subject == "public.t/2", *event == held[0].event, "its identity is the same");
        again.push(subject.to_owned());
    }
    assert!(again.ends_with(&["public.t/2".to_owned(), "public.t/3".to_owned()]), "{again:?}");
    until(async || {
        let status = changes.status("a").await.expect("it answers").expect("there is a slot");
        status.lag_bytes < 1000
    })
    .await;
    close(&*receiver).await;
}
