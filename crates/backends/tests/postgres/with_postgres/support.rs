use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use steadfast_backends::Secret;
use steadfast_backends::change::Change;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_base::Deadline;
use steadfast_core::transport::{Outcome, Received, Receiver, Settlement, Source, Subscribe};
use steadfast_servers::Postgres;
use tokio_postgres::{Client, NoTls};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Returns a server that all tests which run at this time share.
pub(crate) fn server() -> Arc<Postgres> {
    static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Postgres::start().expect("PostgreSQL starts"));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// Holds the shared server in a test that uses one of its own, so that it is not started anew for each test that runs
/// beside it.
pub(crate) async fn hold_server() -> Arc<Postgres> {
    tokio::task::spawn_blocking(server).await.expect("it does not panic")
}

pub(crate) fn config(server: &Postgres, database: &str) -> Config {
    Config {
        host: server.address().ip().to_string(),
        port: server.address().port(),
        password: Some(Secret::new(Postgres::PASSWORD)),
        database: database.to_owned(),
        ..Config::default()
    }
}

/// Connects as an application would.
pub(crate) async fn client(config: &Config) -> Client {
    let mut settings = tokio_postgres::Config::new();
    settings.host(&config.host).port(config.port).user(&config.user).dbname(&config.database);
    let (client, connection) =
        settings.password(Postgres::PASSWORD).connect(NoTls).await.expect("it connects");
    tokio::spawn(connection);
    client
}

/// Makes a role whose transactions have another isolation than usual, and returns how it connects.
pub(crate) async fn with_isolation(config: &Config, isolation: &str) -> Config {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("isolated_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let make = format!(
        "CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{}'; \
         ALTER ROLE {name} SET default_transaction_isolation = '{isolation}'",
        Postgres::PASSWORD
    );
    client(config).await.batch_execute(&make).await.expect("it is created");
    Config { user: name, ..config.clone() }
}

/// A database of its own on the shared server.
pub(crate) struct Database {
    pub(crate) server: Arc<Postgres>,
    pub(crate) config: Config,
    pub(crate) client: Client,
}

impl Database {
    pub(crate) async fn new(sql: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = hold_server().await;
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = client(&config(&server, "postgres")).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("it is created");
        let config = config(&server, &name);
        let client = client(&config).await;
        client.batch_execute(sql).await.expect("the tables are made");
        Self { server, config, client }
    }

    /// Does as `new` with a schema and a role of its own in a database that is shared, which is made sooner.
    pub(crate) async fn schema(sql: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = hold_server().await;
        let name = format!("schema_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = client(&config(&server, "postgres")).await;
        let make = format!(
            "CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{}'; CREATE SCHEMA {name} AUTHORIZATION {name}; \
             ALTER ROLE {name} SET search_path = {name}",
            Postgres::PASSWORD
        );
        admin.batch_execute(&make).await.expect("they are created");
        let config = Config { user: name, ..config(&server, "postgres") };
        let client = client(&config).await;
        client.batch_execute(sql).await.expect("the tables are made");
        Self { server, config, client }
    }

    /// A source whose slots are told apart from those of other databases.
    pub(crate) fn changes(&self, tables: &[&str]) -> Changes {
        Changes::new(self.config.clone(), self.settings(tables)).expect("it is right")
    }

    pub(crate) fn settings(&self, tables: &[&str]) -> Settings {
        Settings {
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
            slot: self.config.database.clone(),
            ..Settings::default()
        }
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.expect("it runs");
    }
}

pub(crate) async fn open(source: &dyn Source, group: &str) -> Box<dyn Receiver> {
    source.open(&Subscribe::new(group)).await.expect("it opens")
}

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

pub(crate) async fn handle(receiver: &dyn Receiver, count: usize) -> Vec<Change> {
    let received = receive(receiver, count).await;
    settle(receiver, &received, Outcome::Handled).await;
    received.iter().map(|received| Change::of(&received.event).expect("it is a change")).collect()
}

pub(crate) async fn close(receiver: &dyn Receiver) {
    receiver.close(Deadline::within(SOON)).await.expect("it closes");
}

/// Waits until `is` says so.
pub(crate) async fn until(mut is: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("it is so soon");
}
