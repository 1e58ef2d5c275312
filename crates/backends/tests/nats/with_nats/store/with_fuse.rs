//! A server on a file system that loses power.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::nats::store::{NatsStore, Settings};
use steadfast_backends::nats::{Config, SyncInterval};
use steadfast_base::units::HumanDuration;
use steadfast_core::store::{Durability, EventStore};
use steadfast_servers::power::PowerCutFs;
use steadfast_servers::{Nats, NatsSettings};

use crate::power::{self, Place};

/// A server that syncs before it acknowledges, or does not.
struct OnServer {
    sync_always: bool,
    server: Option<Nats>,
    latest: Option<Arc<dyn EventStore>>,
}

impl OnServer {
    fn new(sync_always: bool) -> Self {
        Self { sync_always, server: None, latest: None }
    }

    fn start(&mut self, fs: &PowerCutFs) -> &Nats {
        match &mut self.server {
            Some(server) => server.restart().expect("NATS starts on what is left"),
            None => {
                let settings = NatsSettings { sync_always: self.sync_always, ..NatsSettings::default() };
                self.server = Some(Nats::start_in(fs.path(), &settings).expect("NATS starts"));
            }
        }
        self.server.as_ref().expect("it runs")
    }
}

impl Place for OnServer {
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>> {
        async {
            // What it still has under way must not reach the server when that is back, as if its process had died.
            if let Some(old) = self.latest.take() {
                let _ = old.close().await;
            }
            let begins = self.server.is_none();
            let sync = if self.sync_always { SyncInterval::Always } else { SyncInterval::Lazy };
            let address = tokio::task::block_in_place(|| self.start(fs)).address().to_string();
            let config = Config { address, sync, seed: Some(1), ..Config::default() };
            // Whoever appends when the power goes is to be told soon.
            let patience = HumanDuration(Duration::from_secs(2));
            let settings = Settings { stream: "power".to_owned(), patience, ..Settings::default() };
            let store = Arc::new(NatsStore::open(config, settings).await.expect("opened"));
            if begins {
                // So it is events that are lost, if any, and not the stream.
                fs.sync_all().expect("synced");
            }
            self.latest = Some(Arc::clone(&store) as Arc<dyn EventStore>);
            store as Arc<dyn EventStore>
        }
        .boxed()
    }

    fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    power::survives(OnServer::new(true), power::rounds(5));
}

#[test]
fn a_server_that_does_not_sync_is_caught() {
    power::is_caught(OnServer::new(false), Durability::Written);
}
