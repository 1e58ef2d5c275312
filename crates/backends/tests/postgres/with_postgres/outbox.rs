use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::outbox::{Outbox, Settings};
use steadfast_base::Seed;
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::transport::{Link, Outcome, Receiver, Settlement};
use steadfast_servers::Postgres;
use tokio_postgres::{Client, NoTls};

use super::support::{Database, client, close, config, hold_server, open, receive, settle, until};

fn event(subject: &str) -> Event {
    Event::new("/shop", "order.paid").subject(subject).build()
}

fn outbox(database: &Database) -> Outbox {
    Outbox::new(database.config.clone(), Settings::default()).expect("it is right")
}

async fn subjects(receiver: &dyn Receiver, count: usize) -> Vec<String> {
    let received = receive(receiver, count).await;
    settle(receiver, &received, Outcome::Handled).await;
    received.iter().map(|received| received.event.subject().expect("a subject").to_owned()).collect()
}

async fn rows(client: &Client, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM steadfast_outbox WHERE {condition}");
    client.query_one(&sql, &[]).await.expect("it counts").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_held_open_is_waited_for_and_not_skipped() {
    let mut database = Database::new("").await;
    let outbox = outbox(&database);
    let receiver = open(&outbox, "a").await;
    let mut other = client(&database.config).await;

    let first = database.client.transaction().await.expect("it begins");
    outbox.append(&first, &[event("first")]).await.expect("it is appended");
    let second = other.transaction().await.expect("it begins");
    outbox.append(&second, &[event("second")]).await.expect("it is appended");
    second.commit().await.expect("it is committed");

    // The second is committed and can be seen, and its number is higher than that of the first.
    assert_eq!(rows(&other, "true").await, 1);
    let early = tokio::time::timeout(Duration::from_millis(300), receiver.receive(10)).await;
    assert!(early.is_err(), "the reader passed a transaction that is open: {early:?}");

    first.commit().await.expect("it is committed");
    assert_eq!(subjects(&*receiver, 2).await, ["first", "second"]);

    // One that is rolled back is waited for too, and holds up nothing after.
    let third = database.client.transaction().await.expect("it begins");
    outbox.append(&third, &[event("third")]).await.expect("it is appended");
    outbox.append(&other, &[event("fourth")]).await.expect("it is appended");
    third.rollback().await.expect("it is rolled back");
    assert_eq!(subjects(&*receiver, 1).await, ["fourth"]);
    assert_eq!(rows(&other, "true").await, 0, "what was handled is deleted");
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_copied_from_another_server_are_drained() {
    let database = Database::new("").await;
    let outbox = outbox(&database);
    outbox.install().await.expect("it is installed");
    // Their transactions are numbered as there, far beyond the numbers of this server.
    let sql = "INSERT INTO steadfast_outbox (xid, event) SELECT '99999999999', json_build_object('specversion', '1.0', \
               'id', gen_random_uuid(), 'source', '/shop', 'type', 'order.paid', 'subject', 'copied')";
    database.run(sql).await;
    let receiver = open(&outbox, "a").await;
    outbox.append(&database.client, &[event("own")]).await.expect("it is appended");
    assert_eq!(subjects(&*receiver, 2).await, ["copied", "own"]);
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_below_those_handled_is_not_skipped_either() {
    let mut database = Database::new("").await;
    let outbox = outbox(&database);
    let receiver = open(&outbox, "a").await;
    // A transaction that takes a number before it takes an identity of its own: the other one is older and commits
    // first with a higher number.
    let other = client(&database.config).await;
    let first = database.client.transaction().await.expect("it begins");
    let sql = "SELECT nextval(pg_get_serial_sequence('steadfast_outbox', 'id'))";
    let number: i64 = first.query_one(sql, &[]).await.expect("a number").get(0);
    outbox.append(&other, &[event("second")]).await.expect("it is appended");
    first.rollback().await.expect("it is rolled back");
    assert_eq!(subjects(&*receiver, 1).await, ["second"]);
    let sql = format!(
        "INSERT INTO steadfast_outbox (id, event) OVERRIDING SYSTEM VALUE VALUES ({number}, json_build_object( \
         'specversion', '1.0', 'id', gen_random_uuid(), 'source', '/sql', 'type', 't', 'subject', 'first'))"
    );
    database.run(&sql).await;
    assert_eq!(subjects(&*receiver, 1).await, ["first"]);
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_order_whoever_writes_it() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 60;
    let database = Database::new(
        "CREATE TABLE orders (id int PRIMARY KEY, n int NOT NULL); \
         INSERT INTO orders SELECT id, 0 FROM generate_series(0, 4) AS id",
    )
    .await;
    let outbox = outbox(&database);
    let receiver = open(&outbox, "a").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (outbox, mut client) = (outbox.clone(), client(&database.config).await);
        writers.spawn(async move {
            let mut rng = Seed::new(writer).rng();
            for _ in 0..EACH {
                let transaction = client.transaction().await.expect("it begins");
                // Becomes an old transaction before it takes the lock that orders writers of a key.
                transaction.execute("SELECT pg_current_xact_id()", &[]).await.expect("it runs");
                tokio::time::sleep(Duration::from_micros(rng.below(3000))).await;
                let id = rng.below(5) as i32;
                let sql = "UPDATE orders SET n = n + 1 WHERE id = $1 RETURNING n";
                let n: i32 = transaction.query_one(sql, &[&id]).await.expect("it is updated").get(0);
                let happened =
                    Event::new("/shop", "order.changed").subject(id.to_string()).json(&n).expect("JSON");
                outbox.append(&transaction, &[happened]).await.expect("it is appended");
                tokio::time::sleep(Duration::from_micros(rng.below(1000))).await;
                transaction.commit().await.expect("it is committed");
            }
        });
    }
    let mut next: HashMap<String, i32> = HashMap::new();
    let mut seen = 0;
    while seen < WRITERS * EACH {
        for received in receive(&*receiver, 1).await {
            let subject = received.event.subject().expect("a subject").to_owned();
            let n: i32 = serde_json::from_slice(received.event.data()).expect("a number");
            let next = next.entry(subject).or_insert(1);
            assert_eq!(n, *next, "order of key {:?}", received.event.subject());
            *next += 1;
            seen += 1;
            settle(&*receiver, &[received], Outcome::Handled).await;
        }
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("it does not panic");
    }
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_drains_and_another_goes_on() {
    let database = Database::new("").await;
    let outbox = outbox(&database);
    let first = open(&outbox, "a").await;
    outbox.append(&database.client, &["1", "2", "3"].map(event)).await.expect("they are appended");
    let received = receive(&*first, 3).await;
    // Each row is deleted for itself.
    settle(&*first, &received[1..2], Outcome::Handled).await;
    let status = outbox.status().await.expect("it answers");
    assert!(status.waiting == 2 && status.oldest_age > Duration::ZERO, "{status:?}");
    let second = open(&outbox, "b").await;
    let early = tokio::time::timeout(Duration::from_millis(300), second.receive(10)).await;
    assert!(early.is_err() && *second.link().borrow() == Link::Connecting, "it stands by");
    drop(first);
    assert_eq!(subjects(&*second, 2).await, ["1", "3"]);
    close(&*second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_event_is_set_aside_and_a_handled_one_may_be_kept() {
    let database = Database::new("").await;
    // Nobody polls in time: a notification wakes the reader.
    let hour = HumanDuration(Duration::from_secs(3600));
    let settings = Settings { keep: true, poll: hour, ..Settings::default() };
    let outbox = Outbox::new(database.config.clone(), settings).expect("it is right");
    let receiver = open(&outbox, "a").await;
    let mut link = receiver.link();
    link.wait_for(|link| *link == Link::Up).await.expect("it is open");
    database.run(r#"INSERT INTO steadfast_outbox (event) VALUES ('{"specversion": "1.0"}')"#).await;
    for subject in ["1", "2", "3"] {
        outbox.append(&database.client, &[event(subject)]).await.expect("it is appended");
        assert_eq!(subjects(&*receiver, 1).await, [subject]);
    }
    assert_eq!(rows(&database.client, "problem IS NOT NULL AND handled_at IS NULL").await, 1);
    assert_eq!(rows(&database.client, "handled_at IS NOT NULL").await, 3);
    let status = outbox.status().await.expect("it answers");
    assert_eq!((status.waiting, status.set_aside, status.oldest_age), (0, 1, Duration::ZERO));
    close(&*receiver).await;
    let receiver = open(&outbox, "a").await;
    outbox.append(&database.client, &[event("4")]).await.expect("it is appended");
    assert_eq!(subjects(&*receiver, 1).await, ["4"], "what is kept does not come again");
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_rights_is_told_with_the_table_to_make() {
    let database = Database::new("").await;
    let settings = Settings { create: false, ..Settings::default() };
    let absent = Outbox::new(database.config.clone(), settings).expect("it is right");
    let error = absent.install().await.expect_err("there is no table").to_string();
    assert!(error.contains("`create` is off: run `CREATE TABLE steadfast_outbox"), "{error}");
    let odd = Settings { table: "drop table; --".into(), ..Settings::default() };
    Outbox::new(database.config.clone(), odd).expect_err("such a name is refused");
}

/// Appends numbered events of 50 keys, and sends again what it does not know to have been committed.
async fn write(config: Config, outbox: Outbox, count: usize) {
    let mut done = 0;
    let run = async |done: &mut usize| -> Result<(), Box<dyn std::error::Error>> {
        let mut settings = tokio_postgres::Config::new();
        settings.host(&config.host).port(config.port).user(&config.user).password(Postgres::PASSWORD);
        let (mut client, connection) = settings.connect(NoTls).await?;
        tokio::spawn(connection);
        while *done < count {
            let transaction = client.transaction().await?;
            let known: i64 = transaction.query_one("SELECT n FROM written", &[]).await?.get(0);
            *done = known as usize;
            let events: Vec<Event> = (*done..count.min(*done + 5))
                .map(|number| Event::new("/shop", "counted").subject((number % 50).to_string()).json(&number))
                .collect::<Result<_, _>>()?;
            outbox.append(&transaction, &events).await?;
            transaction.execute("UPDATE written SET n = n + $1", &[&(events.len() as i64)]).await?;
            transaction.commit().await?;
        }
        Ok(())
    };
    while run(&mut done).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_stream_loses_nothing() {
    let _shared = hold_server().await;
    const EVENTS: usize = 10_000;
    let mut server =
        tokio::task::spawn_blocking(Postgres::start).await.expect("no panic").expect("it starts");
    let config = config(&server, "postgres");
    let admin = client(&config).await;
    admin
        .batch_execute("CREATE TABLE written (n int8); INSERT INTO written VALUES (0)")
        .await
        .expect("it is made");
    let outbox = Outbox::new(config.clone(), Settings::default()).expect("it is right");
    let receiver = open(&outbox, "group").await;
    let writer = tokio::spawn(write(config.clone(), outbox.clone(), EVENTS));

    let (mut seen, mut ids, mut duplicates) = (0, HashSet::new(), 0);
    let mut next: HashMap<usize, usize> = HashMap::new();
    let (since, mut kills) = (Instant::now(), 0);
    while seen < EVENTS {
        assert!(since.elapsed() < Duration::from_secs(120), "{seen} of {EVENTS} after {kills} kills");
        if seen > (kills + 1) * EVENTS / 4 && kills < 3 {
            kills += 1;
            server = tokio::task::spawn_blocking(move || {
                server.kill();
                server.restart().map(|()| server)
            })
            .await
            .expect("no panic")
            .expect("it starts again");
        }
        let received = tokio::time::timeout(Duration::from_secs(1), receiver.receive(64)).await;
        let Ok(received) = received else { continue };
        let received = received.expect("it receives");
        for one in &received {
            if !ids.insert(one.event.id()) {
                duplicates += 1;
                continue;
            }
            let number: usize = serde_json::from_slice(one.event.data()).expect("a number");
            let next = next.entry(number % 50).or_insert(number % 50);
            assert_eq!(number, *next, "order of key {}", number % 50);
            *next += 50;
            seen += 1;
        }
        let settlements: Vec<Settlement> =
            received.iter().map(|one| Settlement { token: one.token, outcome: Outcome::Handled }).collect();
        let _ = receiver.settle(&settlements).await;
    }
    let written = tokio::time::timeout(Duration::from_secs(20), writer).await;
    written.expect("all was received, so it has ended").expect("it does not panic");
    eprintln!("{EVENTS} events, {kills} kills, {duplicates} duplicates, {:?}", since.elapsed());
    assert_eq!(kills, 3);
    let admin = client(&config).await;
    until(async || rows(&admin, "true").await == 0).await;
    close(&*receiver).await;
}
