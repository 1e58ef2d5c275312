//! A server on a file system that loses power.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::redis::store::{RedisStore, Settings};
use steadfast_backends::redis::{Config, Persistence};
use steadfast_base::units::HumanDuration;
use steadfast_core::store::{Durability, EventStore};
use steadfast_servers::power::PowerCutFs;
use steadfast_servers::{Redis, RedisProgram};

use super::support;
use crate::power::{self, Place};

/// A server that syncs before each answer with `always`, and once a second, or when it is asked, with `everysec`.
pub(crate) struct OnServer {
    program: RedisProgram,
    appendfsync: &'static str,
    server: Option<Redis>,
}

impl OnServer {
    fn new(appendfsync: &'static str) -> Self {
        Self::on(RedisProgram::Redis, appendfsync)
    }

    pub(crate) fn on(program: RedisProgram, appendfsync: &'static str) -> Self {
        Self { program, appendfsync, server: None }
    }

    fn start(&mut self, fs: &PowerCutFs) -> &Redis {
        match &mut self.server {
            Some(server) => server.restart().expect("Redis starts on what is left"),
            None => {
                let server = Redis::start_in(self.program, fs.path(), &[("appendfsync", self.appendfsync)]);
                self.server = Some(server.expect("Redis starts"));
                fs.sync_all().expect("synced");
            }
        }
        self.server.as_ref().expect("it runs")
    }
}

impl Place for OnServer {
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>> {
        async {
            let server = tokio::task::block_in_place(|| self.start(fs));
            let config = Config { persistence: Persistence::Unknown, ..support::config(server) };
            // Whoever appends when the power goes is to be told soon.
            let patience = HumanDuration(Duration::from_secs(2));
            let settings = Settings { name: "power".to_owned(), patience, ..Settings::default() };
            Arc::new(RedisStore::open(config, settings).await.expect("opened")) as Arc<dyn EventStore>
        }
        .boxed()
    }

    fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill();
        }
    }
}

/// A cut that leaves a later part of what was being written, and not an earlier one, is beyond Redis: its file has no
/// checksums, so that it refuses to start, or takes in a part of an append that nobody was promised.
#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    power::survives_untorn(OnServer::new("always"), power::rounds(8));
}

/// Such a server is declared as one that keeps nothing; this is why.
#[test]
fn a_server_that_syncs_every_second_is_caught() {
    power::is_caught(OnServer::new("everysec"), Durability::Accepted);
}
