//! Views in tables of PostgreSQL, of events in PostgreSQL.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use steadfast_backends::Secret;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::store::{PostgresStore, Settings as StoreSettings};
use steadfast_backends::postgres::view::{PostgresView, Settings};
use steadfast_core::projection::{self, Poison, Projector, View, ViewError};
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Position, Query, StoredEvent};
use steadfast_core::{Event, testing};
use steadfast_servers::Postgres;
use tokio_postgres::{Client, Transaction};

use super::store::Place;
use super::support::{client, until, with_isolation};

const PLACE: &str = "STEADFAST_VIEW_PLACE";
/// A position that comes twice is refused.
const TABLES: [&str; 1] = ["CREATE TABLE seen (n bigserial PRIMARY KEY, position text UNIQUE, kind text)"];

/// Where events and view are.
struct At {
    config: Config,
    store: StoreSettings,
    /// None in a process that has not started it.
    server: Option<Arc<Postgres>>,
}

impl At {
    fn of(Place { server, config, settings }: Place) -> Self {
        Self { config, store: settings, server: Some(server) }
    }

    async fn open(&self) -> PostgresStore {
        self.try_open().await.expect("opened")
    }

    async fn try_open(&self) -> Result<PostgresStore, Error> {
        PostgresStore::open(self.config.clone(), self.store.clone()).await
    }

    async fn client(&self) -> Client {
        let client = client(&self.config).await;
        client.batch_execute(&format!("SET search_path TO {}", self.store.schema)).await.expect("set");
        client
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;
type Apply = for<'a> fn(&'a Transaction<'_>, &'a StoredEvent) -> BoxFuture<'a, Result<(), Boxed>>;

fn apply<'a>(tables: &'a Transaction<'_>, stored: &'a StoredEvent) -> BoxFuture<'a, Result<(), Boxed>> {
    Box::pin(async move {
        let (position, kind) = (stored.position.to_string(), stored.event.kind());
        match kind {
            "bad" => return Err("it is bad".into()),
            "null" => drop(tables.query_one("SELECT 1 / 0", &[]).await?),
            _ => {}
        }
        tables.execute("INSERT INTO seen (position, kind) VALUES ($1, $2)", &[&position, &kind]).await?;
        Ok(())
    })
}

async fn try_view(place: &At, migrations: &[&str]) -> Result<PostgresView<Apply>, ViewError> {
    let settings = settings(place, "seen");
    PostgresView::open(place.config.clone(), settings, migrations, apply as Apply).await
}

fn settings(place: &At, name: &str) -> Settings {
    Settings { name: name.to_owned(), schema: place.store.schema.clone(), ..Settings::default() }
}

async fn projector(place: &At, poison: Poison) -> Projector<PostgresView<Apply>> {
    try_projector(place, poison).await.expect("opened")
}

async fn try_projector(place: &At, poison: Poison) -> Result<Projector<PostgresView<Apply>>, Boxed> {
    let view = try_view(place, &TABLES).await?;
    let settings = projection::Settings {
        poison,
        batch_max: 20,
        attempts_max: 1_000,
        ..projection::Settings::default()
    };
    Ok(Projector::new("seen", Arc::new(place.try_open().await?), Arc::new(view), settings))
}

async fn append(store: &PostgresStore, kind: &str, count: usize) {
    let events = (0..count).map(|_| Event::new("/view", kind).build());
    let appended = store.append(Batch::to_stream("s", events), Condition::Any, Durability::Written).await;
    let position = appended.expect("appended").position;
    // Another store sees it once nobody's transaction is open that began before, those of other tests included.
    until(async || store.head().await.expect("it answers") >= position).await;
}

/// What is stored, as the view has it if it lacks nothing.
async fn stored(store: &PostgresStore) -> Vec<String> {
    let events: Vec<_> = store.read(Query::stream("s")).try_collect().await.expect("readable");
    events.iter().map(|stored| stored.position.to_string()).collect()
}

async fn seen(place: &At) -> Vec<String> {
    let client = place.client().await;
    // A child may be killed before it has made the table.
    let is_there = "SELECT to_regclass('seen') IS NOT NULL";
    if !client.query_one(is_there, &[]).await.expect("it answers").get::<_, bool>(0) {
        return vec![];
    }
    let rows = client.query("SELECT position FROM seen ORDER BY n", &[]).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_applied_is_recorded_and_the_rest_counts_once() {
    let place = At::of(Place::shared().await);
    let store = place.open().await;
    append(&store, "good", 30).await;
    append(&store, "bad", 1).await;
    append(&store, "null", 1).await;
    append(&store, "good", 30).await;
    let projector = projector(&place, Poison::Skip).await;
    projector.catch_up().await.expect("applied");
    let all = stored(&store).await;
    let expected = [&all[..30], &all[32..]].concat();
    assert_eq!(seen(&place).await, expected);
    let sql = "SELECT position, kind, reason FROM steadfast_skipped ORDER BY kind";
    let rows = place.client().await.query(sql, &[]).await.expect("rows");
    let skipped: Vec<[String; 3]> = rows.iter().map(|row| [0, 1, 2].map(|column| row.get(column))).collect();
    let texts = |position: &String, kind: &str, reason: &str| [position, kind, reason].map(str::to_owned);
    let [bad, null] =
        [texts(&all[30], "bad", "it is bad"), texts(&all[31], "null", "division by zero (22012)")];
    assert_eq!(skipped, [bad, null]);
    assert_eq!(projector.view().position().await.expect("known").to_string(), all[61]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_locked_or_not_there_is_no_reason_to_pass_an_event() {
    // The lock holds up all readers of the server.
    let place = At::of(Place::alone().await);
    let store = place.open().await;
    append(&store, "good", 3).await;
    let short =
        Settings { statement_timeout: "200ms".parse().expect("a duration"), ..settings(&place, "seen") };
    let view = loop {
        // It may be too short for a machine that is busy.
        let opened = PostgresView::open(place.config.clone(), short.clone(), &TABLES, apply as Apply).await;
        match opened {
            Ok(view) => break view,
            Err(error) => assert!(error.retryable, "{error}"),
        }
    };
    let settings =
        projection::Settings { poison: Poison::Skip, attempts_max: 1_000, ..projection::Settings::default() };
    let projector = Projector::new("seen", Arc::new(place.open().await), Arc::new(view), settings);
    let other = place.client().await;
    other.batch_execute("BEGIN; LOCK TABLE seen").await.expect("locked");
    let unlock = async {
        until(async || projector.metrics().failures >= 2).await;
        other.batch_execute("ROLLBACK").await.expect("unlocked");
    };
    let (applied, ()) = tokio::join!(projector.catch_up(), unlock);
    applied.expect("applied in the end");
    assert_eq!((seen(&place).await, projector.metrics().skipped), (stored(&store).await, 0));

    append(&store, "good", 1).await;
    other.batch_execute("ALTER TABLE seen RENAME TO elsewhere").await.expect("renamed");
    let stopped = projector.catch_up().await.expect_err("no table");
    assert!(
        matches!(&stopped, projection::Error::View { source, .. } if source.reason.contains("42P01")),
        "{stopped}"
    );
    other.batch_execute("ALTER TABLE elsewhere RENAME TO seen").await.expect("renamed");
    projector.catch_up().await.expect("applied");
    assert_eq!((seen(&place).await, projector.metrics().skipped), (stored(&store).await, 0));
}

/// With another one, two that follow the same projection could not take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_applied_as_committed_reads_see_them_whatever_the_role_says() {
    let mut place = At::of(Place::shared().await);
    place.config = with_isolation(&place.config, "repeatable read").await;
    let store = place.open().await;
    append(&store, "good", 1).await;
    let view = PostgresView::open(
        place.config.clone(),
        settings(&place, "isolation"),
        &["CREATE TABLE isolation (level text)"],
        |tables: &Transaction<'_>, _: &StoredEvent| {
            Box::pin(async move {
                let sql = "INSERT INTO isolation SELECT current_setting('transaction_isolation')";
                tables.execute(sql, &[]).await.map(drop)
            })
        },
    )
    .await
    .expect("opened");
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    view.apply(Position::START, &events).await.expect("applied");
    let row = place.client().await.query_one("SELECT level FROM isolation", &[]).await.expect("a row");
    assert_eq!(row.get::<_, &str>(0), "read committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_migration_is_run_once_and_tables_of_a_newer_version_are_refused() {
    let place = At::of(Place::shared().await);
    let two = [TABLES[0], "ALTER TABLE seen ADD COLUMN more text DEFAULT 'x'"];
    // At the same time, as when several processes are started.
    let opened = futures::future::join_all((0..4).map(|_| try_view(&place, &TABLES))).await;
    opened.into_iter().for_each(|opened| drop(opened.expect("opened")));
    for _ in 0..2 {
        try_view(&place, &two).await.expect("opened");
    }
    let wrong = try_view(&place, &[TABLES[0], two[1], "CREATE TABLE other (n int)", "nonsense"]).await;
    assert!(!wrong.expect_err("a wrong migration").retryable);
    let client = place.client().await;
    let sql = "SELECT version, to_regclass('other') IS NULL FROM steadfast_projections";
    let row = client.query_one(sql, &[]).await.expect("a row");
    assert_eq!((row.get::<_, i32>(0), row.get::<_, bool>(1)), (2, true), "none is run, or all");
    let newer = try_view(&place, &TABLES).await.expect_err("made by a newer version");
    assert!(newer.reason.contains("`seen` has version 2, only up to 1"), "{newer}");
    client.batch_execute("UPDATE steadfast_views SET version = 2").await.expect("changed");
    let newer = try_view(&place, &two).await.expect_err("made by a newer version");
    assert!(newer.reason.contains("`steadfast_projections` has version 2, only up to 1"), "{newer}");
    client.batch_execute("UPDATE steadfast_views SET version = 1").await.expect("changed");
    for wrong in [
        Settings { name: String::new(), ..settings(&place, "") },
        Settings { schema: "a\"b".to_owned(), ..settings(&place, "seen") },
    ] {
        let opened = PostgresView::open(place.config.clone(), wrong, &TABLES, apply as Apply).await;
        assert!(!opened.expect_err("it is wrong").retryable);
    }
}

/// The tables of the first version, which all views share, kept none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_of_the_first_version_goes_on() {
    let place = At::of(Place::shared().await);
    let store = place.open().await;
    append(&store, "good", 20).await;
    let all = stored(&store).await;
    let client = place.client().await;
    let sql = include_str!("view-v1.sql").replace("${position}", &all[9]);
    client.batch_execute(&sql).await.expect("restored");
    for _ in 0..2 {
        let view = try_view(&place, &TABLES).await.expect("opened");
        assert_eq!(view.position().await.expect("known").to_string(), all[9]);
    }
    projector(&place, Poison::Stop).await.catch_up().await.expect("applied");
    assert_eq!(seen(&place).await, all[9..], "those before had been applied");
    let sql = "SELECT steadfast_views.version, steadfast_projections.version, steadfast_skipped.reason \
               FROM steadfast_views, steadfast_projections JOIN steadfast_skipped ON name = projection";
    let row = client.query_one(sql, &[]).await.expect("a row");
    assert_eq!((row.get(0), row.get(1), row.get(2)), (1, 1, "it was bad"));
}

/// A second table is built beside the one that is read, and those who read by SQL follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_rebuilt_beside_the_one_that_is_read() {
    let place = At::of(Place::shared().await);
    let store = Arc::new(place.open().await);
    append(&store, "good", 50).await;
    let open = async |name: &'static str, table: &'static str| {
        let insert = format!("INSERT INTO {table} VALUES ($1)");
        let make = format!("CREATE TABLE {table} (kind text NOT NULL)");
        let settings = settings(&place, name);
        let view = PostgresView::open(
            place.config.clone(),
            settings,
            &[&make],
            move |tables: &Transaction<'_>, stored: &StoredEvent| {
                let insert = insert.clone();
                Box::pin(async move { tables.execute(&insert, &[&stored.event.kind()]).await.map(drop) })
            },
        )
        .await;
        Arc::new(view.expect("opened"))
    };
    let projector =
        Projector::new("kinds", store.clone(), open("kinds", "kinds_1").await, Default::default());
    projector.catch_up().await.expect("applied");
    let client = place.client().await;
    client.batch_execute("CREATE VIEW kinds AS SELECT * FROM kinds_1").await.expect("made");

    let appending = append(&store, "more", 10);
    let (before, ()) = tokio::join!(projector.rebuild(open("kinds 2", "kinds_2").await), appending);
    let before = before.expect("rebuilt");
    let sql = "CREATE OR REPLACE VIEW kinds AS SELECT * FROM kinds_2; DROP TABLE kinds_1; \
        DELETE FROM steadfast_projections WHERE name = 'kinds'";
    client.batch_execute(sql).await.expect("switched");
    projector.catch_up().await.expect("applied");
    let count: i64 = client.query_one("SELECT count(*) FROM kinds", &[]).await.expect("a row").get(0);
    assert_eq!(count, 60);
    let gone = before.position().await.expect_err("its row is gone");
    assert!(gone.reason.contains("no row `kinds`"), "{gone}");
}

/// Two projectors stand for two processes: who comes second leaves out what the first has applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_follow_the_same_projection_count_each_event_once() {
    let place = At::of(Place::shared().await);
    let store = place.open().await;
    let (one, other) = (projector(&place, Poison::Stop).await, projector(&place, Poison::Stop).await);
    let appending = async {
        for _ in 0..40 {
            append(&store, "good", 7).await;
        }
        let all = stored(&store).await;
        until(async || seen(&place).await.len() >= all.len()).await;
        all
    };
    let all = tokio::select! {
        all = appending => all,
        stopped = one.run() => panic!("{stopped:?}"),
        stopped = other.run() => panic!("{stopped:?}"),
    };
    assert_eq!(seen(&place).await, all);
    // Also without luck: this one was told a position that is history by now.
    let view = try_view(&place, &TABLES).await.expect("opened");
    let events: Vec<_> = store.read(Query::stream("s")).try_collect().await.expect("readable");
    let before = view.position().await.expect("known");
    let after = events[2].position;
    view.apply(after, &events[3..9]).await.expect("nothing is left to do");
    view.skip(after, &events[3], "late").await.expect("nothing is left to do");
    assert_eq!((seen(&place).await, view.position().await.expect("known")), (all, before));
    assert!(before > Position::from_parts(before.parts().0, 0), "positions have two parts");
}

/// A database that is restored from a copy, or whose server has lost what it had committed, lacks events that the
/// projector has seen: it gets them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_has_gone_back_gets_what_it_lacks() {
    let place = At::of(Place::shared().await);
    let store = place.open().await;
    append(&store, "good", 10).await;
    let projector = projector(&place, Poison::Stop).await;
    let restoring = async {
        until(async || seen(&place).await.len() == 10).await;
        let copied = stored(&store).await[9].clone();
        append(&store, "good", 10).await;
        until(async || seen(&place).await.len() == 20).await;
        let restore = format!(
            "BEGIN; DELETE FROM seen WHERE n > 10; UPDATE steadfast_projections SET position = '{copied}'; COMMIT"
        );
        place.client().await.batch_execute(&restore).await.expect("restored");
        assert_eq!(seen(&place).await.len(), 10);
        append(&store, "good", 10).await;
        until(async || seen(&place).await.len() >= 20).await;
    };
    tokio::select! {
        () = restoring => {}
        stopped = projector.run() => panic!("{stopped:?}"),
    }
    projector.catch_up().await.expect("applied");
    assert_eq!(seen(&place).await, stored(&store).await);
    assert_eq!(projector.metrics().rewinds, 1);
}

/// The process that is killed; a test that does nothing unless it is started by the one below.
#[test]
fn child_projects_until_it_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (port, schema) = place.split_once(' ').expect("two parts");
        let config = Config {
            host: "127.0.0.1".to_owned(),
            port: port.parse().expect("a port"),
            password: Some(Secret::new(Postgres::PASSWORD)),
            ..Config::default()
        };
        let store = StoreSettings { schema: schema.to_owned(), ..StoreSettings::default() };
        let place = At { config, store, server: None };
        loop {
            if let Ok(projector) = try_projector(&place, Poison::Stop).await
                && let Err(poisoned @ projection::Error::Poisoned { .. }) = projector.run().await
            {
                panic!("{poisoned}");
            }
            // The server was killed.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Ends a child also when the test fails.
struct Killed(Child);

impl Killed {
    fn start(place: &At) -> Self {
        let Config { port, .. } = place.config;
        let child = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", "with_postgres::view::child_projects_until_it_is_killed", "--nocapture"])
            .env(PLACE, format!("{port} {}", place.store.schema))
            .stdout(Stdio::null())
            .spawn();
        Self(child.expect("started"))
    }
}

impl Killed {
    /// Kills it, unless it has ended by itself: what it refused is on stderr.
    fn kill(mut self) {
        let ended = self.0.try_wait().expect("it can be asked");
        assert!(ended.is_none(), "a child has ended: {ended:?}");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_counts_once_whenever_projections_or_the_server_are_killed() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 20 };
    let mut place = At::of(Place::alone().await);
    let store = place.open().await;
    let seed = testing::seed();
    let mut rng = seed.rng();
    for round in 0..rounds {
        // One process, or two that follow the same projection.
        let children: Vec<_> = (0..=rng.below(2)).map(|_| Killed::start(&place)).collect();
        for _ in 0..rng.below(60) {
            append(&store, "good", 10).await;
        }
        tokio::time::sleep(Duration::from_micros(rng.below(200_000))).await;
        if round % 3 == 2 {
            tokio::task::block_in_place(|| {
                let server = place.server.as_mut().and_then(Arc::get_mut).expect("nobody else has it");
                server.kill();
                server.restart().expect("it starts again");
            });
            tokio::time::sleep(Duration::from_micros(rng.below(200_000))).await;
        }
        children.into_iter().for_each(Killed::kill);
        let (seen, all) = (seen(&place).await, stored(&store).await);
        assert!(all.starts_with(&seen), "round {round}: in order, none left out, none twice");
    }
    assert!(seen(&place).await.len() > rounds, "the children got somewhere");
    let projector = projector(&place, Poison::Stop).await;
    projector.catch_up().await.expect("applied");
    assert_eq!(seen(&place).await, stored(&store).await);
}
