//! A server on a file system that loses power.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::nats::store::{NatsStore, Settings};
use steadfast_backends::nats::{Config, SyncInterval};
use steadfast_base::units::HumanDuration;
use steadfast_core::store::{Durability, EventStore};
use steadfast_core::testing::store as suite;
use steadfast_servers::power::PowerCutFs;
use steadfast_servers::{Error, Nats, NatsSettings};

use crate::power::{self, OnServer, Served};

/// A server that syncs before it acknowledges, or does not.
struct Syncing(SyncInterval);

impl Served for Syncing {
    type Server = Nats;

    fn start(&self, fs: &PowerCutFs) -> Result<Nats, Error> {
        let sync_always = self.0 == SyncInterval::Always;
        Nats::start_in(fs.path(), &NatsSettings { sync_always, ..NatsSettings::default() })
    }

    fn open<'a>(&'a self, server: &'a Nats) -> BoxFuture<'a, Arc<dyn EventStore>> {
        let address = server.address().to_string();
        let config = Config { address, sync: self.0, seed: Some(1), ..Config::default() };
        // Whoever appends when the power goes is to be told soon.
        let patience = HumanDuration(Duration::from_secs(2));
        let settings = Settings { stream: "power".to_owned(), patience, ..Settings::default() };
        async { Arc::new(NatsStore::open(config, settings).await.expect("opened")) as Arc<dyn EventStore> }
            .boxed()
    }
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    power::survives(OnServer::new(Syncing(SyncInterval::Always)), power::rounds(5));
}

#[test]
fn duplicates_are_raised_to_the_durability_asked_for() {
    let always = OnServer::new(Syncing(SyncInterval::Always));
    power::passes(always, suite::duplicates_are_raised_to_the_durability_asked_for);
}

#[test]
fn a_server_that_does_not_sync_is_caught() {
    power::is_caught(OnServer::new(Syncing(SyncInterval::Lazy)), Durability::Written);
}
