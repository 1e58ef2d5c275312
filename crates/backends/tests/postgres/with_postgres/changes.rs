use serde_json::json;
use steadfast_backends::change::{Change, Operation};
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_core::transport::{Outcome, Source, Subscribe};

use super::support::{Database, close, handle, open, receive, settle, until};

#[tokio::test(flavor = "multi_thread")]
async fn insert_update_and_delete_tell_before_and_after() {
    let database = Database::new(
        "CREATE TABLE orders (id bigint PRIMARY KEY, state text, total numeric(10, 2), note bytea, tags jsonb, \
         paid boolean, weight float8)",
    )
    .await;
    let settings = Settings { full_before: true, ..database.settings(&["orders"]) };
    let changes = Changes::new(database.config.clone(), settings).expect("it is right");
    let receiver = open(&changes, "a").await;
    database.run(r#"INSERT INTO orders VALUES (7, 'new', 2.50, '\x00ff', '{"a": [1]}', true, 0.1)"#).await;
    database.run("UPDATE orders SET state = 'paid', weight = NULL").await;
    database.run("DELETE FROM orders").await;
    database.run("TRUNCATE orders").await;

    let received = receive(&*receiver, 4).await;
    let kinds: Vec<&str> = received.iter().map(|received| received.event.kind()).collect();
    let rows = ["inserted", "updated", "deleted"].map(|what| format!("postgresql.row.{what}"));
    assert_eq!(kinds[..3], rows);
    assert_eq!(
        (kinds[3], received[3].event.subject()),
        ("postgresql.table.truncated", Some("public.orders"))
    );
    assert!(received[..3].iter().all(|received| received.event.subject() == Some("public.orders/7")));

    let changes: Vec<Change> =
        received.iter().map(|received| Change::of(&received.event).expect("a change")).collect();
    let first = json!({"id": 7, "state": "new", "total": "2.50", "note": {"hex": "00ff"}, "tags": {"a": [1]},
                       "paid": true, "weight": 0.1});
    let second = json!({"id": 7, "state": "paid", "total": "2.50", "note": {"hex": "00ff"}, "tags": {"a": [1]},
                        "paid": true, "weight": null});
    let rows = |change: &Change| (json!(change.before), json!(change.after));
    assert_eq!(rows(&changes[0]), (json!(null), first.clone()));
    assert_eq!(rows(&changes[1]), (first, second.clone()));
    assert_eq!(rows(&changes[2]), (second, json!(null)));
    assert_eq!(json!(changes[1].key), json!({"id": 7}), "not the whole row, which identifies itself too");
    settle(&*receiver, &received, Outcome::Handled).await;
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_in_the_order_of_commits_and_nothing_of_what_was_rolled_back() {
    let database = Database::new(
        r#"CREATE SCHEMA "Odd schema"; CREATE TABLE "Odd schema"."a/b" ("k,1" text, k2 int, PRIMARY KEY (k2, "k,1"));
           CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE unwatched (id int)"#,
    )
    .await;
    let receiver = open(&database.changes(&["t", r#""Odd schema"."a/b""#]), "a").await;
    let other = super::support::client(&database.config).await;
    // The first to begin commits last.
    database.run("BEGIN; INSERT INTO t VALUES (1)").await;
    other
        .batch_execute("BEGIN; INSERT INTO t VALUES (2); INSERT INTO unwatched VALUES (1); COMMIT")
        .await
        .expect("ok");
    other.batch_execute("BEGIN; INSERT INTO t VALUES (3); ROLLBACK").await.expect("it is rolled back");
    other
        .batch_execute(
            r#"BEGIN; INSERT INTO "Odd schema"."a/b" VALUES ('x', 5); INSERT INTO t VALUES (4); COMMIT"#,
        )
        .await
        .expect("it is committed");
    database.run("COMMIT").await;
    let received = receive(&*receiver, 4).await;
    let subjects: Vec<&str> = received.iter().filter_map(|received| received.event.subject()).collect();
    assert_eq!(subjects, ["public.t/2", "Odd schema.a%2Fb/5,x", "public.t/4", "public.t/1"]);
    let sequences: Vec<&String> =
        received.iter().map(|received| &received.event.extensions()["sequence"]).collect();
    assert!(sequences.is_sorted());
    settle(&*receiver, &received, Outcome::Handled).await;
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_key_changes_and_new_columns_are_told() {
    let database = Database::new(
        "CREATE TABLE t (id int PRIMARY KEY, body text, n int); ALTER TABLE t ALTER body SET STORAGE EXTERNAL",
    )
    .await;
    let receiver = open(&database.changes(&["t"]), "a").await;
    database
        .run("INSERT INTO t VALUES (1, repeat('x', 100000), 0); UPDATE t SET n = 1; UPDATE t SET id = 2")
        .await;
    let changes = handle(&*receiver, 4).await;
    assert_eq!(changes[0].after.as_ref().expect("a row")["body"].as_str().map(str::len), Some(100_000));
    assert_eq!(changes[1].unchanged, ["body"]);
    assert_eq!(json!(changes[1].after), json!({"id": 1, "n": 1}));
    let told: Vec<_> = changes[2..].iter().map(|change| (change.operation, json!(change.key))).collect();
    assert_eq!(told, [(Operation::Delete, json!({"id": 1})), (Operation::Insert, json!({"id": 2}))]);

    database.run("ALTER TABLE t ADD COLUMN extra timestamptz DEFAULT '2026-11-23 12:00:00+01'").await;
    database.run("UPDATE t SET n = 3").await;
    let change = handle(&*receiver, 1).await.remove(0);
    assert_eq!(change.after.expect("a row")["extra"], json!("2026-11-23 11:00:00+00"));
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_confirmed_as_a_whole_and_a_group_goes_on_where_it_was() {
    let database = Database::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let changes = database.changes(&["t"]);
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1)").await;
    database.run("BEGIN; INSERT INTO t VALUES (2), (3); COMMIT").await;
    let received = receive(&*receiver, 3).await;
    settle(&*receiver, &received[..2], Outcome::Handled).await;
    close(&*receiver).await;

    database.run("INSERT INTO t VALUES (4)").await;
    let receiver = open(&changes, "a").await;
    let again = receive(&*receiver, 3).await;
    assert_eq!(again[0].event, received[1].event, "also its identity is the same");
    assert_eq!(again[2].event.subject(), Some("public.t/4"));
    settle(&*receiver, &again, Outcome::Handled).await;
    close(&*receiver).await;

    // The other group has a slot of its own, from when it first subscribed.
    let other = open(&changes, "b").await;
    database.run("INSERT INTO t VALUES (5)").await;
    assert_eq!(json!(handle(&*other, 1).await[0].key), json!({"id": 5}));
    close(&*other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_larger_than_what_may_be_in_flight_comes_whole() {
    const ROWS: i64 = 5_000;
    let database = Database::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let changes = database.changes(&["t"]);
    let receiver =
        changes.open(&Subscribe { in_flight_max: 16, ..Subscribe::new("a") }).await.expect("it opens");
    database.run(&format!("INSERT INTO t SELECT generate_series(1, {ROWS})")).await;
    let first = receive(&*receiver, 1).await;
    let mut next = 2;
    while next <= ROWS {
        for change in handle(&*receiver, 1).await {
            assert_eq!(json!(change.key), json!({"id": next}));
            next += 1;
        }
    }
    // Nothing of it is confirmed before the first is handled.
    let lag = async || changes.status("a").await.expect("it answers").expect("there is a slot").lag_bytes;
    assert!(lag().await > 10_000);
    settle(&*receiver, &first, Outcome::Handled).await;
    until(async || lag().await < 10_000).await;
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_that_is_kept_is_told_and_let_go() {
    let database =
        Database::new("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE unwatched (body text)").await;
    let changes = database.changes(&["t"]);
    assert_eq!(changes.status("a").await.expect("it answers"), None);
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (1)").await;
    let held = receive(&*receiver, 1).await;
    let much = "INSERT INTO unwatched SELECT repeat('x', 1000) FROM generate_series(1, 2000)";
    database.run(much).await;
    let status = changes.status("a").await.expect("it answers").expect("there is a slot");
    assert!(
        status.active && status.lag_bytes > 1_000_000 && status.retained_bytes >= status.lag_bytes,
        "{status:?}"
    );

    // Once handled, the log of tables that are not watched is not kept either.
    settle(&*receiver, &held, Outcome::Handled).await;
    until(async || {
        database.run("INSERT INTO unwatched VALUES ('x')").await;
        let status = changes.status("a").await.expect("it answers").expect("there is a slot");
        status.lag_bytes < 100_000
    })
    .await;
    close(&*receiver).await;
    changes.drop_group("a").await.expect("it is dropped");
    assert_eq!(changes.status("a").await.expect("it answers"), None);
}
