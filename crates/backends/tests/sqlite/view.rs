//! Views in tables of SQLite.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_backends::sqlite::rusqlite::{Connection, Transaction};
use steadfast_backends::sqlite::store::{Config as StoreConfig, SqliteStore};
use steadfast_backends::sqlite::view::{Config, SqliteView};
use steadfast_core::projection::{Poison, Projector, Settings, View, ViewError};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Position, Query, StoredEvent};
use steadfast_core::{Event, testing};

const PLACE: &str = "STEADFAST_VIEW_PLACE";
/// A position that comes twice is refused.
const TABLES: [&str; 1] =
    ["CREATE TABLE seen (n INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER UNIQUE)"];

type Apply = fn(&Transaction<'_>, &StoredEvent) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn apply(
    tables: &Transaction<'_>,
    stored: &StoredEvent,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if stored.event.kind() == "bad" {
        return Err("it is bad".into());
    }
    tables.execute("INSERT INTO seen (position) VALUES (?)", [stored.position.parts().0 as i64])?;
    Ok(())
}

async fn store(folder: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(StoreConfig::at(folder.join("events.db"))).await.expect("opened"))
}

async fn try_view(folder: &Path, migrations: &[&str]) -> Result<SqliteView<Apply>, ViewError> {
    let config = Config { path: folder.join("view.db"), name: "seen".to_owned(), ..Config::default() };
    SqliteView::open(config, migrations, apply as Apply).await
}

async fn projector(folder: &Path, poison: Poison) -> Projector<SqliteView<Apply>> {
    let view = try_view(folder, &TABLES).await.expect("opened");
    let settings = Settings { poison, batch_max: 20, ..Settings::default() };
    Projector::new("seen", store(folder).await, Arc::new(view), settings)
}

async fn append(store: &SqliteStore, kind: &str, count: usize) {
    let events = (0..count).map(|_| Event::new("/view", kind).build());
    store.append(Batch::to_stream("s", events), Condition::Any, Durability::Written).await.expect("appended");
}

fn seen(folder: &Path) -> Vec<i64> {
    let view = Connection::open(folder.join("view.db")).expect("opened");
    let mut statement = view.prepare("SELECT position FROM seen ORDER BY n").expect("a table");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_applied_is_recorded_and_the_rest_counts_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path()).await;
    append(&store, "good", 30).await;
    append(&store, "bad", 1).await;
    append(&store, "good", 30).await;
    let projector = projector(folder.path(), Poison::Skip).await;
    projector.catch_up().await.expect("applied");
    assert_eq!(seen(folder.path()), (1..=30).chain(32..=61).collect::<Vec<_>>());
    let view = Connection::open(folder.path().join("view.db")).expect("opened");
    let skipped: (String, String, String) = view
        .query_row("SELECT position, kind, reason FROM steadfast_skipped", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .expect("one row");
    assert_eq!(skipped, ("31".to_owned(), "bad".to_owned(), "it is bad".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_locked_is_no_reason_to_pass_an_event() {
    let folder = tempfile::tempdir().expect("a folder");
    append(&*store(folder.path()).await, "good", 3).await;
    let config = Config {
        path: folder.path().join("view.db"),
        name: "seen".to_owned(),
        busy_timeout: "10ms".parse().expect("a duration"),
    };
    let view = Arc::new(SqliteView::open(config, &TABLES, apply as Apply).await.expect("opened"));
    let settings = Settings { poison: Poison::Skip, attempts_max: 1_000, ..Settings::default() };
    let projector = Projector::new("seen", store(folder.path()).await, view, settings);
    let other = Connection::open(folder.path().join("view.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let unlock = async {
        let failing = async {
            while projector.metrics().failures < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), failing).await.expect("it finds the table locked");
        other.execute_batch("ROLLBACK").expect("unlocked");
    };
    let applying = tokio::time::timeout(Duration::from_secs(30), projector.catch_up());
    let (applied, ()) = tokio::join!(applying, unlock);
    applied.expect("in time").expect("applied in the end");
    assert_eq!((seen(folder.path()), projector.metrics().skipped), (vec![1, 2, 3], 0));
}

/// Reads the versions of the tables that all views share, and of those of one.
fn versions(folder: &Path) -> (i64, i64) {
    let view = Connection::open(folder.join("view.db")).expect("opened");
    let sql = "SELECT steadfast_views.version, steadfast_projections.version FROM steadfast_views, \
               steadfast_projections WHERE name = 'seen'";
    view.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("one row")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_migration_is_run_once_and_tables_of_a_newer_version_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let two = [TABLES[0], "ALTER TABLE seen ADD COLUMN more TEXT DEFAULT 'x'"];
    // At the same time, as when several processes are started.
    let opened = futures::future::join_all((0..4).map(|_| try_view(folder.path(), &TABLES))).await;
    opened.into_iter().for_each(|opened| drop(opened.expect("opened")));
    for _ in 0..2 {
        try_view(folder.path(), &two).await.expect("opened");
    }
    let wrong = [TABLES[0], two[1], "CREATE TABLE other (n)", "nonsense"];
    let wrong = try_view(folder.path(), &wrong).await.expect_err("a wrong migration");
    assert!(!wrong.retryable && wrong.reason.contains("nonsense"), "{wrong}");
    let view = Connection::open(folder.path().join("view.db")).expect("opened");
    assert_eq!(versions(folder.path()), (2, 2), "none is run, or all");
    assert!(view.prepare("SELECT 1 FROM other").is_err(), "none is run, or all");
    let newer = try_view(folder.path(), &TABLES).await.expect_err("made by a newer version");
    assert!(newer.reason.contains("`seen` has version 2, only up to 1"), "{newer}");
    view.execute_batch("UPDATE steadfast_views SET version = 3").expect("changed");
    let newer = try_view(folder.path(), &two).await.expect_err("made by a newer version");
    assert!(newer.reason.contains("`steadfast_projections` has version 3, only up to 2"), "{newer}");
}

/// The tables of the first version kept none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_of_the_first_version_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    append(&*store(folder.path()).await, "good", 20).await;
    let view = Connection::open(folder.path().join("view.db")).expect("opened");
    view.execute_batch(include_str!("view-v1.sql")).expect("restored");
    // As every view of the first version made its tables.
    let migrations =
        ["CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER UNIQUE)"];
    for _ in 0..2 {
        let view = try_view(folder.path(), &migrations).await.expect("opened");
        assert_eq!(view.position().await.expect("known").to_string(), "10");
    }
    assert_eq!(versions(folder.path()), (2, 1));
    projector(folder.path(), Poison::Stop).await.catch_up().await.expect("applied");
    assert_eq!(seen(folder.path()), (1..=20).collect::<Vec<_>>());
    let sql = "SELECT position || ' ' || reason FROM steadfast_skipped";
    let skipped: String = view.query_row(sql, [], |row| row.get(0)).expect("one row");
    assert_eq!(skipped, "4 it was bad");
}

/// Two projectors stand for two processes: who comes second leaves out what the first has applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_follow_the_same_projection_count_each_event_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path()).await;
    append(&store, "good", 30).await;
    let (one, other) =
        (projector(folder.path(), Poison::Stop).await, projector(folder.path(), Poison::Stop).await);
    let (one, other) = (one.view(), other.view());
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    one.apply(Position::START, &events[..20]).await.expect("applied");
    // This one was told its position before.
    other.apply(Position::START, &events[..25]).await.expect("applied");
    one.skip(events[2].position, &events[3], "late").await.expect("nothing is left to do");
    one.apply(events[19].position, &events[20..25]).await.expect("nothing is left to do");
    assert_eq!(one.position().await.expect("known"), events[24].position);
    one.apply(events[24].position, &events[25..]).await.expect("applied");
    assert_eq!(seen(folder.path()), (1..=30).collect::<Vec<_>>());
}

/// A database that is restored from a copy lacks events that the projector has seen: it gets them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_has_gone_back_gets_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path()).await;
    append(&store, "good", 10).await;
    let projector = projector(folder.path(), Poison::Stop).await;
    let has = async |count: usize| {
        let following = async {
            while seen(folder.path()).len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let following = tokio::time::timeout(Duration::from_secs(20), following).await;
        assert!(following.is_ok(), "{} of {count} were seen", seen(folder.path()).len());
    };
    let restoring = async {
        has(10).await;
        append(&store, "good", 10).await;
        has(20).await;
        let view = Connection::open(folder.path().join("view.db")).expect("opened");
        view.busy_timeout(Duration::from_secs(5)).expect("set");
        let restore = "BEGIN IMMEDIATE; DELETE FROM seen WHERE n > 10; \
                       UPDATE steadfast_projections SET position = '10'; COMMIT";
        view.execute_batch(restore).expect("restored");
        append(&store, "good", 10).await;
        has(20).await;
    };
    tokio::select! {
        () = restoring => {}
        stopped = projector.run() => panic!("{stopped:?}"),
    }
    projector.catch_up().await.expect("applied");
    assert_eq!(seen(folder.path()), (1..=30).collect::<Vec<_>>());
    assert_eq!(projector.metrics().rewinds, 1);
}

/// The process that is killed; a test that does nothing unless it is started by the one below.
#[test]
fn child_projects_until_it_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let projector = projector(Path::new(&place), Poison::Stop).await;
        projector.run().await.expect("it goes on until it is killed");
    });
}

#[test]
fn each_event_counts_once_whenever_the_projection_is_killed() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 20 };
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(store(folder.path()));
    let seed = testing::seed();
    let mut rng = seed.rng();
    let mut count = 0;
    for _ in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", "view::child_projects_until_it_is_killed", "--nocapture"])
            .env(PLACE, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        for _ in 0..rng.below(60) {
            runtime.block_on(append(&store, "good", 10));
            count += 10;
        }
        std::thread::sleep(Duration::from_micros(rng.below(60_000)));
        child.kill().expect("killed");
        child.wait().expect("it ended");
        let seen = seen_if_there(folder.path());
        assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<_>>(), "in order, none left out, none twice");
    }
    assert!(seen_if_there(folder.path()).len() > rounds, "the children got somewhere");
    let projector = runtime.block_on(projector(folder.path(), Poison::Stop));
    runtime.block_on(projector.catch_up()).expect("applied");
    assert_eq!(seen(folder.path()), (1..=count).collect::<Vec<_>>());
}

fn seen_if_there(folder: &Path) -> Vec<i64> {
    let view = Connection::open(folder.join("view.db")).expect("opened");
    // A child may be killed before it has made the table.
    let is_there = view.prepare("SELECT 1 FROM seen").is_ok();
    drop(view);
    if is_there { seen(folder) } else { vec![] }
}
