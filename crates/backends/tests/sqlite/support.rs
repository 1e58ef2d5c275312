use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use steadfast_backends::change::Change;
use steadfast_backends::sqlite::changes::{Changes, Config};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::transport::{Outcome, Received, Receiver, Settlement, Source, Subscribe};
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A database in a folder of its own, opened as another process would.
pub(crate) struct Database {
    pub(crate) folder: TempDir,
    pub(crate) connection: Connection,
}

pub(crate) fn database(sql: &str) -> Database {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let connection = Connection::open(folder.path().join("shop.db")).expect("it opens");
    connection.busy_timeout(SOON).expect("it can be set");
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;").expect("it can be set");
    connection.execute_batch(sql).expect("the tables are made");
    Database { folder, connection }
}

impl Database {
    pub(crate) fn config(&self, tables: &[&str]) -> Config {
        config(self.folder.path(), tables)
    }

    pub(crate) fn changes(&self, tables: &[&str]) -> Changes {
        Changes::new(self.config(tables)).expect("the configuration is right")
    }

    pub(crate) fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).expect("it runs");
    }
}

pub(crate) fn config(folder: &Path, tables: &[&str]) -> Config {
    Config {
        path: folder.join("shop.db"),
        tables: tables.iter().map(|table| (*table).to_owned()).collect(),
        poll: HumanDuration(Duration::from_millis(2)),
        ..Config::default()
    }
}

pub(crate) async fn open(changes: &Changes, group: &str) -> Box<dyn Receiver> {
    changes.open(&Subscribe::new(group)).await.expect("it opens")
}

/// Receives `count` events.
pub(crate) async fn receive(receiver: &dyn Receiver, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    let receiving = async {
        while all.len() < count {
            let some = receiver.receive(count - all.len()).await.expect("it receives");
            assert!(!some.is_empty(), "the source has ended");
            all.extend(some);
        }
    };
    tokio::time::timeout(SOON, receiving).await.expect("they come soon");
    all
}

pub(crate) async fn settle(receiver: &dyn Receiver, received: &[Received], outcome: Outcome) {
    let settlements: Vec<Settlement> =
        received.iter().map(|received| Settlement { token: received.token, outcome }).collect();
    receiver.settle(&settlements).await.expect("it settles");
}

/// Receives `count` changes and handles them.
pub(crate) async fn handle(receiver: &dyn Receiver, count: usize) -> Vec<Change> {
    let received = receive(receiver, count).await;
    settle(receiver, &received, Outcome::Handled).await;
    received.iter().map(|received| Change::of(&received.event).expect("it is a change")).collect()
}

/// Fails if something more is there: a change made now is the next that comes.
pub(crate) async fn expect_nothing_before(receiver: &dyn Receiver, subject: &str) {
    let next = receive(receiver, 1).await;
    assert_eq!(next[0].event.subject(), Some(subject));
    settle(receiver, &next, Outcome::Handled).await;
}

pub(crate) async fn close(receiver: &dyn Receiver) {
    receiver.close(Deadline::within(SOON)).await.expect("it closes");
}
