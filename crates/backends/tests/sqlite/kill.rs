use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use steadfast_backends::change::Change;
use steadfast_backends::sqlite::changes::Changes;
use steadfast_base::Seed;
use steadfast_core::transport::Outcome;

use crate::support::{self, database};

const FOLDER: &str = "STEADFAST_TEST_FOLDER";
const KEYS: i64 = 20;
const CHANGES: i64 = 10_000;

/// Runs a test of this program as a process of its own.
fn child(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([test, "--exact", "--nocapture"]).env(FOLDER, folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Returns the folder to work in, in a process that the test below has started; in no other is anything to be done.
fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Adds one to a counter after another, each in a transaction, until there have been enough changes.
#[test]
fn writer() {
    let Some(folder) = folder() else { return };
    let connection = Connection::open(folder.join("shop.db")).expect("it opens");
    connection.busy_timeout(support::SOON).expect("it can be set");
    connection.execute_batch("PRAGMA synchronous = OFF").expect("it can be set");
    loop {
        let sum: i64 =
            connection.query_row("SELECT sum(n) FROM counters", [], |row| row.get(0)).expect("a sum");
        if sum >= CHANGES {
            return;
        }
        let sql = "UPDATE counters SET n = n + 1 WHERE id = ?1";
        connection.execute(sql, [sum % KEYS]).expect("it counts");
    }
}

/// Writes down what it receives, then settles it, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn reader() {
    let Some(folder) = folder() else { return };
    let changes = Changes::new(support::config(&folder, &["counters"])).expect("it is right");
    let receiver = support::open(&changes, "group").await;
    let path = folder.join("received");
    let mut file = std::fs::File::options().create(true).append(true).open(path).expect("it opens");
    loop {
        let received = receiver.receive(64).await.expect("it receives");
        // Handling takes a while, so that most kills come between reading and settling.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut lines = String::new();
        for one in &received {
            let change = Change::of(&one.event).expect("a change");
            let after = change.after.expect("it was updated");
            lines.push_str(&format!("{} {}\n", after["id"], after["n"]));
        }
        file.write_all(lines.as_bytes()).expect("it is written");
        support::settle(&*receiver, &received, Outcome::Handled).await;
    }
}

/// Returns what was received: for each counter its values in the order in which they came.
fn received(folder: &Path) -> BTreeMap<i64, Vec<i64>> {
    let text = std::fs::read_to_string(folder.join("received")).unwrap_or_default();
    let mut by_key: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    // The last line may be torn by a kill, and is then followed by the next one.
    for line in text.lines() {
        let (id, n) = line.split_once(' ').expect("two numbers");
        by_key.entry(id.parse().expect("a number")).or_default().push(n.parse().expect("a number"));
    }
    by_key
}

#[test]
fn readers_and_writers_killed_at_any_moment_lose_nothing() {
    let database = database("CREATE TABLE counters (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)");
    for id in 0..KEYS {
        database.run(&format!("INSERT INTO counters VALUES ({id}, 0)"));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(database.changes(&["counters"]).install()).expect("it installs");
    let folder = database.folder.path();

    let mut rng = Seed::new(1).rng();
    let mut processes =
        [("kill::writer", child("kill::writer", folder)), ("kill::reader", child("kill::reader", folder))];
    let since = Instant::now();
    let mut kills = 0;
    loop {
        std::thread::sleep(Duration::from_millis(20 + rng.below(150)));
        let sql = "SELECT sum(n) FROM counters";
        let sum: i64 = database.connection.query_row(sql, [], |row| row.get(0)).expect("a sum");
        let arrived = received(folder).values().filter_map(|values| values.iter().max()).sum::<i64>();
        if sum >= CHANGES && arrived >= sum {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "{arrived} of {sum} after {kills} kills");
        // Once all is written the reader is left alone, to come to the end.
        let victim = if sum >= CHANGES { continue } else { usize::from(rng.chance(0.5)) };
        let (name, process) = &mut processes[victim];
        process.kill().expect("it is killed");
        process.wait().expect("it has ended");
        *process = child(name, folder);
        kills += 1;
    }
    for (_, process) in &mut processes {
        process.kill().expect("it is killed");
        process.wait().expect("it has ended");
    }
    assert!(kills >= 5, "only {kills} kills in {:?}", since.elapsed());

    let mut duplicates = 0;
    for (id, values) in received(folder) {
        let sql = "SELECT n FROM counters WHERE id = ?1";
        let n: i64 = database.connection.query_row(sql, [id], |row| row.get(0)).expect("a counter");
        let mut next = 1;
        for value in values {
            assert!(value <= next, "counter {id}: {value} came before {next}");
            duplicates += i64::from(value < next);
            next = next.max(value + 1);
        }
        assert_eq!(next, n + 1, "counter {id}");
    }
    assert!(duplicates <= 64 * kills * 4, "{duplicates} duplicates after {kills} kills");
    eprintln!("{CHANGES} changes, {kills} kills, {duplicates} duplicates, {:?}", since.elapsed());
}
