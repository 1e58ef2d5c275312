//! Tables of other kinds, and tables that somebody else watches.

use serde_json::json;
use steadfast_backends::change::{Change, Operation};
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_core::transport::{Error, Outcome, Source};

use super::support::{Database, close, handle, open, receive, settle};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_has_one_subject_also_where_an_index_identifies_it() {
    let database = Database::new(
        "CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, n int); \
         CREATE UNIQUE INDEX by_code ON t (code); ALTER TABLE t REPLICA IDENTITY USING INDEX by_code",
    )
    .await;
    let receiver = open(&database.changes(&["t"]), "a").await;
    database.run("INSERT INTO t VALUES (1, 'x', 0)").await;
    database.run("UPDATE t SET n = 1").await;
    database.run("UPDATE t SET code = 'y'").await;
    database.run("DELETE FROM t").await;
    let received = receive(&*receiver, 5).await;
    let subjects: Vec<&str> = received.iter().filter_map(|one| one.event.subject()).collect();
    assert_eq!(subjects, ["public.t/x", "public.t/x", "public.t/x", "public.t/y", "public.t/y"]);
    let told = |at: usize| Change::of(&received[at].event).expect("a change");
    assert_eq!((told(2).operation, told(3).operation), (Operation::Delete, Operation::Insert));
    assert_eq!(json!(told(4).key), json!({"code": "y"}));
    settle(&*receiver, &received, Outcome::Handled).await;
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_tells_its_own_tables_of_a_publication_that_others_share() {
    let database =
        Database::new("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await;
    let (of_t, of_u) = (database.changes(&["t"]), database.changes(&["u"]));
    let (one, other) = (open(&of_t, "a").await, open(&of_u, "b").await);
    database.run("INSERT INTO u VALUES (1); INSERT INTO t VALUES (1); INSERT INTO u VALUES (2)").await;
    database.run("INSERT INTO t VALUES (3)").await;
    let tables = |changes: Vec<Change>| changes.into_iter().map(|change| change.table).collect::<Vec<_>>();
    assert_eq!(tables(handle(&*one, 2).await), ["public.t", "public.t"]);
    assert_eq!(tables(handle(&*other, 2).await), ["public.u", "public.u"]);
    // What is not its own does not keep the log either.
    super::support::until(async || {
        let status = of_u.status("b").await.expect("it answers").expect("there is a slot");
        status.lag_bytes < 1000
    })
    .await;
    close(&*one).await;
    close(&*other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_is_one_table() {
    let database = Database::new(
        "CREATE TABLE t (id int, day int, n int, PRIMARY KEY (id, day)) PARTITION BY LIST (day); \
         CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)",
    )
    .await;
    let settings = Settings { full_before: true, ..database.settings(&["t"]) };
    let changes = Changes::new(database.config.clone(), settings.clone()).expect("it is right");
    let receiver = open(&changes, "a").await;
    database.run("INSERT INTO t VALUES (7, 1, 0); INSERT INTO t VALUES (8, 2, 0)").await;
    database.run("UPDATE t SET n = 1 WHERE id = 7").await;
    database.run("DELETE FROM t WHERE id = 8").await;
    let received = receive(&*receiver, 4).await;
    let subjects: Vec<&str> = received.iter().filter_map(|one| one.event.subject()).collect();
    assert_eq!(subjects, ["public.t/7,1", "public.t/8,2", "public.t/7,1", "public.t/8,2"]);
    let before = |at: usize| json!(Change::of(&received[at].event).expect("a change").before);
    assert_eq!(before(2), json!({"id": 7, "day": 1, "n": 0}));
    assert_eq!(before(3), json!({"id": 8, "day": 2, "n": 0}), "no column is told as null that was not");
    settle(&*receiver, &received, Outcome::Handled).await;
    close(&*receiver).await;
    // All is there: nothing has to be made.
    let settings = Settings { create: false, ..settings };
    let again = Changes::new(database.config.clone(), settings.clone()).expect("it is right");
    again.install("a").await.expect("nothing is missing");

    database.run("DROP PUBLICATION steadfast; CREATE PUBLICATION steadfast FOR TABLE t").await;
    let error = again.install("a").await.expect_err("it would tell of the partitions");
    assert!(matches!(&error, Error::Configuration { field: "publication", .. }), "{error}");
    assert!(error.to_string().contains("SET (publish_via_partition_root = true)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_leaves_something_out_is_refused() {
    let database = Database::new(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION steadfast FOR TABLE t WITH (publish = 'insert')",
    )
    .await;
    let changes = database.changes(&["t"]);
    let error = changes.install("a").await.expect_err("updates would be lost");
    assert!(matches!(&error, Error::Configuration { field: "publication", .. }), "{error}");
    assert!(error.to_string().contains("insert, update, delete, truncate"), "{error}");
    assert!(!changes.capabilities().groups, "one receiver of a group does all of its work");
}
