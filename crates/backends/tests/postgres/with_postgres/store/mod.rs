//! PostgreSQL as an event store, on a server that syncs.

mod basics;
mod conformance;
mod encryption;
mod isolation;
mod kill;
mod old_formats;
mod tail;
#[cfg(target_os = "linux")]
mod with_fuse;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::store::{PostgresStore, Settings};
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::Error;
use steadfast_servers::Postgres;

use super::support;

/// A schema of its own on a server that these tests share: a transaction that is left open holds up all readers of a
/// server, so the other tests have another one.
pub(super) struct Place {
    pub(super) server: Arc<Postgres>,
    pub(super) config: Config,
    pub(super) settings: Settings,
}

fn server() -> Arc<Postgres> {
    static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Postgres::start_with(&[("fsync", "on")]).expect("PostgreSQL starts"));
        *shared = Arc::downgrade(&server);
        server
    })
}

impl Place {
    pub(super) async fn shared() -> Self {
        let mut place = Self::on(tokio::task::spawn_blocking(server).await.expect("it does not panic"));
        // Others on the server hold a transaction open for as long as their sync takes.
        place.settings.own_within = HumanDuration(Duration::from_secs(30));
        place
    }

    pub(super) async fn alone() -> Self {
        Self::alone_with(&[]).await
    }

    /// A place on a server of its own with further settings.
    pub(super) async fn alone_with(settings: &[(&'static str, &'static str)]) -> Self {
        let settings = [&[("fsync", "on")], settings].concat();
        let start = move || Postgres::start_with(&settings).expect("PostgreSQL starts");
        Self::on(Arc::new(tokio::task::spawn_blocking(start).await.expect("it does not panic")))
    }

    fn on(server: Arc<Postgres>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let schema = format!("store_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let config = support::config(&server, "postgres");
        let settings = Settings { schema, connections_max: 4, ..Settings::default() };
        Self { server, config, settings }
    }

    pub(super) async fn try_open(&self) -> Result<PostgresStore, Error> {
        PostgresStore::open(self.config.clone(), self.settings.clone()).await
    }

    pub(super) async fn open(&self) -> PostgresStore {
        self.try_open().await.expect("opened")
    }

    /// Connects as somebody else would, to the same tables.
    pub(super) async fn client(&self) -> tokio_postgres::Client {
        let client = support::client(&self.config).await;
        client.batch_execute(&format!("SET search_path TO {}", self.settings.schema)).await.expect("set");
        client
    }
}

pub(super) fn event(kind: &str) -> Event {
    Event::new("/postgres", kind).data("text/plain", kind.to_owned())
}
