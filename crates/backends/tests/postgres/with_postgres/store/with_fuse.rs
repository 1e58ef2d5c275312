//! A server on a file system that loses power.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::postgres::store::{PostgresStore, Settings};
use steadfast_core::store::{Durability, EventStore};
use steadfast_core::testing::store as suite;
use steadfast_servers::power::PowerCutFs;
use steadfast_servers::{Error, Postgres};

use crate::power::{self, OnServer, Served};
use crate::with_postgres::support;

/// A server that syncs with `fsync=on`, and does not with `off`.
struct Fsync(&'static str);

impl Served for Fsync {
    type Server = Postgres;

    fn start(&self, fs: &PowerCutFs) -> Result<Postgres, Error> {
        Postgres::start_in(fs.path(), &[("fsync", self.0)])
    }

    fn open<'a>(&'a self, server: &'a Postgres) -> BoxFuture<'a, Arc<dyn EventStore>> {
        let config = support::config(server, "postgres");
        let settings = Settings { connections_max: 4, ..Settings::default() };
        async {
            Arc::new(PostgresStore::open(config, settings).await.expect("opened")) as Arc<dyn EventStore>
        }
        .boxed()
    }
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    power::survives(OnServer::new(Fsync("on")), power::rounds(8));
}

#[test]
fn duplicates_are_raised_to_the_durability_asked_for() {
    power::passes(OnServer::new(Fsync("on")), suite::duplicates_are_raised_to_the_durability_asked_for);
}

/// Such a server is declared as one that keeps nothing; this is why.
#[test]
fn a_server_that_does_not_sync_is_caught() {
    power::is_caught(OnServer::new(Fsync("off")), Durability::Accepted);
}
