//! A server on a file system that loses power.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::redis::store::{RedisStore, Settings};
use steadfast_backends::redis::{Config, Persistence};
use steadfast_base::units::HumanDuration;
use steadfast_core::store::{Durability, EventStore};
use steadfast_core::testing::store as suite;
use steadfast_servers::power::PowerCutFs;
use steadfast_servers::{Error, Redis, RedisProgram};

use super::support;
use crate::power::{self, OnServer, Served};

/// A server that syncs before each answer with `always`, and once a second, or when it is asked, with `everysec`.
pub(crate) struct Appendfsync(pub(crate) RedisProgram, pub(crate) &'static str);

impl Served for Appendfsync {
    type Server = Redis;

    fn start(&self, fs: &PowerCutFs) -> Result<Redis, Error> {
        Redis::start_in(self.0, fs.path(), &[("appendfsync", self.1)])
    }

    fn open<'a>(&'a self, server: &'a Redis) -> BoxFuture<'a, Arc<dyn EventStore>> {
        let config = Config { persistence: Persistence::Unknown, ..support::config(server) };
        // Whoever appends when the power goes is to be told soon.
        let patience = HumanDuration(Duration::from_secs(2));
        let settings = Settings { name: "power".to_owned(), patience, ..Settings::default() };
        async { Arc::new(RedisStore::open(config, settings).await.expect("opened")) as Arc<dyn EventStore> }
            .boxed()
    }
}

/// A cut that leaves a later part of what was being written, and not an earlier one, is beyond Redis: its file has no
/// checksums, so that it refuses to start, or takes in a part of an append that nobody was promised.
#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    power::survives_untorn(OnServer::new(Appendfsync(RedisProgram::Redis, "always")), power::rounds(8));
}

#[test]
fn duplicates_are_raised_to_the_durability_asked_for() {
    let always = OnServer::new(Appendfsync(RedisProgram::Redis, "always"));
    power::passes(always, suite::duplicates_are_raised_to_the_durability_asked_for);
}

/// Such a server is declared as one that keeps nothing; this is why.
#[test]
fn a_server_that_syncs_every_second_is_caught() {
    power::is_caught(OnServer::new(Appendfsync(RedisProgram::Redis, "everysec")), Durability::Accepted);
}
