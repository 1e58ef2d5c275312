//! A file system that is full: the append says so and leaves nothing, what was acknowledged is there, and appends go on
//! once there is room.

use std::path::Path;
use std::process::Command;

use futures::TryStreamExt;
use futures::future::join_all;
use steadfast_backends::sqlite::store::{Config, SqliteStore};
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Outcome, Query, Revision};

const FOLDER: &str = "STEADFAST_FULL_FOLDER";

/// Each takes a page or more of the write-ahead log.
const EVENT_BYTES: usize = 3_000;
/// So much more that it fails where a smaller one has.
const OTHER_BYTES: usize = 30_000;
/// More than SQLite keeps in memory before it writes amid a transaction.
const LARGE_BYTES: usize = 4 << 20;

#[test]
fn a_store_on_a_full_file_system_goes_on_when_there_is_room() {
    let probe = Command::new("unshare").args(["-Urm", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this host grants no user namespace to mount a small file system in");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "mount -t tmpfs -o size=2m none \"${FOLDER}\" && \
         exec \"$0\" --exact store::full::child_fills_the_file_system --nocapture"
    );
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &script])
        .arg(std::env::current_exe().expect("known"))
        .env(FOLDER, folder.path())
        .output()
        .expect("started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stderr).contains("it held"), "{}", text(&output.stderr));
}

fn batch(stream: &str, bytes: usize) -> Batch {
    let event = |kind| Event::new("/full", kind).data("text/plain", vec![b'x'; bytes]);
    Batch::to_stream(stream, [event("first"), event("second")])
}

async fn read(store: &SqliteStore) -> Vec<(String, u64)> {
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    let positions: Vec<_> = events.iter().map(|stored| stored.position.parts().0).collect();
    assert_eq!(positions, Vec::from_iter(1..=events.len() as u64), "nothing of a refused batch has a place");
    events.iter().map(|stored| (stored.stream.to_string(), stored.revision.0)).collect()
}

fn expect_full(refused: Result<steadfast_core::store::Appended, Error>) {
    let refused = refused.expect_err("there is no room");
    assert!(matches!(refused, Error::Full), "{refused:?}");
    assert_eq!(refused.outcome(), Outcome::NotAppended);
}

/// Does nothing unless it is started by the test above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_fills_the_file_system() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let ballast = Path::new(&folder).join("ballast");
    let path = Path::new(&folder).join("events.db");
    // So that nothing is done between the appends: what is moved out of the write-ahead log makes room in it.
    let config = Config { poll: "1h".parse().expect("a duration"), ..Config::at(&path) };
    let store = SqliteStore::open(config).await.expect("opened");
    for round in 0..3 {
        // Less each time, for what is put in its place stays.
        std::fs::write(&ballast, vec![1; (600 - 200 * round) << 10]).expect("there is room");
        // Until a commit fails, at one level and at the other.
        let level = if round % 2 == 0 { Durability::Durable } else { Durability::Written };
        let stream = format!("s{round}");
        let before = read(&store).await;
        let mut acknowledged = 0;
        let refused = loop {
            let batch = batch(&stream, EVENT_BYTES);
            match store.append(batch.clone(), Condition::Any, level).await {
                Ok(_) => acknowledged += 2,
                Err(error) => {
                    expect_full(Err(error));
                    break batch;
                }
            }
            assert!(acknowledged < 2_000, "it never failed");
        };
        let there: Vec<_> =
            before.iter().cloned().chain((0..acknowledged).map(|number| (stream.clone(), number))).collect();
        assert_eq!(read(&store).await, there, "what was acknowledged, and nothing else");

        // Several in one transaction, and one that is written before it is committed.
        let others = ["a", "b", "c"].map(|other| {
            let batch = batch(&format!("{other}{round}"), OTHER_BYTES);
            store.append(batch, Condition::Any, level)
        });
        join_all(others).await.into_iter().for_each(expect_full);
        expect_full(store.append(batch("large", LARGE_BYTES), Condition::Any, level).await);
        assert_eq!(read(&store).await, there);

        std::fs::remove_file(&ballast).expect("removed");
        let appended = store.append(refused, Condition::Any, level).await.expect("there is room");
        assert!(!appended.duplicate, "nothing of it was left");
        assert_eq!(appended.revision, Revision(acknowledged + 1));
    }
    let all = read(&store).await;
    store.close().await.expect("closed");
    let again = SqliteStore::open(Config::at(&path)).await.expect("opened");
    assert_eq!(read(&again).await, all);
    eprintln!("it held");
}
