//! A server on a file system that loses power.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::postgres::store::{PostgresStore, Settings};
use steadfast_core::store::{Durability, EventStore};
use steadfast_servers::Postgres;
use steadfast_servers::power::PowerCutFs;

use crate::power::{self, Place};
use crate::with_postgres::support;

/// A server that syncs with `fsync=on`, and does not with `off`.
struct OnServer {
    fsync: &'static str,
    server: Option<Postgres>,
}

impl OnServer {
    fn new(fsync: &'static str) -> Self {
        Self { fsync, server: None }
    }

    fn start(&mut self, fs: &PowerCutFs) -> &Postgres {
        match &mut self.server {
            Some(server) => server.restart().expect("PostgreSQL starts on what is left"),
            None => {
                let server = Postgres::start_in(fs.path(), &[("fsync", self.fsync)]);
                self.server = Some(server.expect("PostgreSQL starts"));
                // The cluster is made without syncing.
                fs.sync_all().expect("synced");
            }
        }
        self.server.as_ref().expect("it runs")
    }
}

impl Place for OnServer {
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>> {
        async {
            let begins = self.server.is_none();
            let server = tokio::task::block_in_place(|| self.start(fs));
            let config = support::config(server, "postgres");
            let settings = Settings { connections_max: 4, ..Settings::default() };
            let store = PostgresStore::open(config, settings).await.expect("opened");
            if begins {
                // So it is events that are lost, if any, and not the tables.
                fs.sync_all().expect("synced");
            }
            Arc::new(store) as Arc<dyn EventStore>
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
    power::survives(OnServer::new("on"), power::rounds(8));
}

/// Such a server is declared as one that keeps nothing; this is why.
#[test]
fn a_server_that_does_not_sync_is_caught() {
    power::is_caught(OnServer::new("off"), Durability::Accepted);
}
