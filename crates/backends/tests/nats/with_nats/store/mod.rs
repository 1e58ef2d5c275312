//! NATS JetStream as an event store.

mod basics;
mod conformance;
mod deleted;
mod encryption;
mod formats;
mod kill;
mod limits;
mod lost;
mod processes;
mod proxy;
mod several;
#[cfg(target_os = "linux")]
mod with_fuse;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use steadfast_backends::nats::store::{NatsStore, Settings};
use steadfast_backends::nats::{Config, SyncInterval};
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Query, StoredEvent};
use steadfast_servers::{Nats, NatsSettings};

use super::support;

/// A stream of its own on a server that these tests share, which syncs before it acknowledges.
pub(super) struct Place {
    pub(super) server: Arc<Nats>,
    pub(super) config: Config,
    pub(super) settings: Settings,
}

fn server() -> Arc<Nats> {
    static SHARED: Mutex<Weak<Nats>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let settings = NatsSettings { sync_always: true, ..NatsSettings::default() };
        let server = Arc::new(Nats::start_with(&settings).expect("NATS starts"));
        *shared = Arc::downgrade(&server);
        server
    })
}

impl Place {
    pub(super) async fn shared() -> Self {
        Self::on(tokio::task::spawn_blocking(server).await.expect("it does not panic"))
    }

    pub(super) async fn alone(settings: NatsSettings) -> Self {
        Self::on(Arc::new(support::started(settings).await))
    }

    fn on(server: Arc<Nats>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let stream = format!("store_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let config = Config {
            address: server.address().to_string(),
            sync: SyncInterval::Always,
            seed: Some(1),
            ..Config::default()
        };
        // Patience for a machine under load.
        let patience = HumanDuration(std::time::Duration::from_secs(30));
        Self { server, config, settings: Settings { stream, patience, ..Settings::default() } }
    }

    pub(super) async fn try_open(&self) -> Result<NatsStore, Error> {
        NatsStore::open(self.config.clone(), self.settings.clone()).await
    }

    pub(super) async fn open(&self) -> NatsStore {
        self.try_open().await.expect("opened")
    }

    /// The server as an administrator sees it.
    pub(super) async fn jetstream(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(&self.config.address).await.expect("it connects"))
    }

    /// Stores a message as it is.
    pub(super) async fn publish(&self, below: &str, message: &str) {
        let subject = format!("{}.{below}", self.settings.stream);
        let context = self.jetstream().await;
        let stored = context.publish(subject, message.to_owned().into()).await;
        stored.expect("it is published").await.expect("it is stored");
    }

    /// How many messages the stream holds.
    pub(super) async fn messages(&self) -> u64 {
        let stream = self.jetstream().await.get_stream(&self.settings.stream).await.expect("it is there");
        stream.cached_info().state.messages
    }
}

pub(super) fn event(kind: &str) -> Event {
    Event::new("/nats", kind).data("text/plain", kind.to_owned())
}

pub(super) async fn append(store: &NatsStore, batch: Batch) -> steadfast_core::store::Appended {
    store.append(batch, Condition::Any, Durability::Durable).await.expect("appended")
}

pub(super) async fn read(store: &NatsStore, query: Query) -> Vec<StoredEvent> {
    use futures::TryStreamExt;
    store.read(query).try_collect().await.expect("readable")
}
