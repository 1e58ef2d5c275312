use proptest::prelude::*;
use rusqlite::types::Value;
use serde_json::json;
use steadfast_backends::change::{Change, Operation};
use steadfast_core::transport::Outcome;

use crate::support::{close, database, handle, open, receive, settle};

#[tokio::test(flavor = "multi_thread")]
async fn insert_update_and_delete_tell_before_and_after() {
    let database =
        database("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT, total REAL, note BLOB)");
    let receiver = open(&database.changes(&["orders"]), "a").await;
    database.run("INSERT INTO orders VALUES (7, 'new', 2.5, x'00ff')");
    database.run("UPDATE orders SET state = 'pa\"id' WHERE id = 7");
    database.run("DELETE FROM orders");

    let received = receive(&*receiver, 3).await;
    let kinds: Vec<&str> = received.iter().map(|received| received.event.kind()).collect();
    assert_eq!(kinds, ["sqlite.row.inserted", "sqlite.row.updated", "sqlite.row.deleted"]);
    assert!(received.iter().all(|received| received.event.subject() == Some("orders/7")));
    assert_eq!(received[0].event.source(), "/sqlite/shop.db");

    let changes: Vec<Change> =
        received.iter().map(|received| Change::of(&received.event).expect("a change")).collect();
    let first = json!({"id": 7, "state": "new", "total": 2.5, "note": {"hex": "00ff"}});
    let second = json!({"id": 7, "state": "pa\"id", "total": 2.5, "note": {"hex": "00ff"}});
    let rows = |change: &Change| (json!(change.before), json!(change.after));
    assert_eq!(rows(&changes[0]), (json!(null), first.clone()));
    assert_eq!(rows(&changes[1]), (first, second.clone()));
    assert_eq!(rows(&changes[2]), (second, json!(null)));
    assert_eq!(json!(changes[2].key), json!({"id": 7}));
    settle(&*receiver, &received, Outcome::Handled).await;
    close(&*receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_kind_of_table_and_name_is_told() {
    let database = database(
        r#"CREATE TABLE "odd "" name" ("a'b" TEXT, "c""d" INTEGER, v, g AS (v || '!'),
               PRIMARY KEY ("c""d", "a'b")) WITHOUT ROWID;
           CREATE TABLE plain (rowid TEXT, v);
           CREATE TABLE "select" (id TEXT PRIMARY KEY COLLATE NOCASE)"#,
    );
    let receiver = open(&database.changes(&["odd \" name", "plain", "select"]), "a").await;
    database.run(r#"INSERT INTO "odd "" name" VALUES ('x/y', 1, NULL), ('x', 2, 'w')"#);
    database.run("INSERT INTO plain VALUES ('not the number', 5); UPDATE plain SET v = 6");
    database.run(r#"INSERT INTO "select" VALUES ('A'); UPDATE "select" SET id = 'a'"#);
    let changes = handle(&*receiver, 7).await;
    assert_eq!(json!(changes[0].key), json!({"c\"d": 1, "a'b": "x/y"}));
    assert_eq!(json!(changes[1].after), json!({"c\"d": 2, "a'b": "x", "v": "w", "g": "w!"}));
    assert_eq!(json!(changes[2].key), json!({"_rowid_": 1}));
    assert_eq!(json!(changes[3].before), json!({"rowid": "not the number", "v": 5}));

    // An update that changes the key, be it only by case, ends one story and begins another.
    let operations: Vec<Operation> = changes[4..].iter().map(|change| change.operation).collect();
    assert_eq!(operations, [Operation::Insert, Operation::Delete, Operation::Insert]);
    assert_eq!((json!(changes[5].key), json!(changes[6].key)), (json!({"id": "A"}), json!({"id": "a"})));
    close(&*receiver).await;
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("SQLite keeps it as NULL", |real| !real.is_nan()).prop_map(Value::Real),
        any::<String>().prop_map(Value::Text),
        any::<Vec<u8>>().prop_map(Value::Blob),
    ]
}

/// What the value is told as; numbers as they are read by the standard library.
fn is_told(value: &Value, told: &str) -> bool {
    let json: serde_json::Value = serde_json::from_str(told).expect("it is JSON");
    match value {
        Value::Null => json.is_null(),
        Value::Integer(number) => told == number.to_string(),
        Value::Real(real) if real.is_infinite() => told.trim_matches('"').parse() == Ok(*real),
        Value::Real(real) => told.parse() == Ok(*real) && json.is_number(),
        Value::Text(text) => json.as_str() == Some(text),
        Value::Blob(blob) => {
            let hex: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
            json == json!({"hex": hex})
        }
    }
}

#[test]
fn every_value_is_told_without_loss() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = database("CREATE TABLE t (v)");
    let receiver = runtime.block_on(open(&database.changes(&["t"]), "a"));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    runner
        .run(&value(), |value| {
            database.connection.execute("INSERT INTO t VALUES (?1)", [&value]).expect("it is inserted");
            let received = runtime.block_on(receive(&*receiver, 1));
            runtime.block_on(settle(&*receiver, &received, Outcome::Handled));
            let text = String::from_utf8(received[0].event.data().to_vec()).expect("it is text");
            let told = text.split_once(r#""after":{"v":"#).and_then(|(_, rest)| rest.strip_suffix("}}"));
            prop_assert!(is_told(&value, told.expect("it tells the value")), "{value:?} as {text}");
            Ok(())
        })
        .expect("it holds");
    runtime.block_on(close(&*receiver));
}
