//! The store on a file system that loses power.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_core::store::{Durability, EventStore};
use steadfast_core::testing::store as suite;
use steadfast_servers::power::PowerCutFs;

use crate::boastful::Boastful;
use crate::power::{self, Place};

/// The database, and what is done to a store once it is open.
struct Database(fn(Arc<dyn EventStore>, &PowerCutFs) -> Arc<dyn EventStore>);

impl Place for Database {
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>> {
        async { (self.0)(super::open(fs.path()), fs) }.boxed()
    }
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    power::survives(database(), power::rounds(20));
}

fn database() -> Database {
    Database(|store, _| store)
}

#[test]
fn duplicates_are_raised_to_the_durability_asked_for() {
    power::passes(database(), suite::duplicates_are_raised_to_the_durability_asked_for);
}

/// A process that dies takes the files with it here; on a real file system its store would go on within the test.
#[test]
fn written_batches_survive_the_death_of_the_process() {
    power::passes(database(), suite::written_batches_survive_the_death_of_the_process);
}

#[test]
fn events_seen_survive_the_death_of_the_process() {
    power::passes(database(), suite::events_seen_survive_the_death_of_the_process);
}

/// What commits with `synchronous=NORMAL` is not synced.
#[test]
fn a_store_that_answers_before_syncing_is_caught() {
    power::is_caught(Database(|store, _| Arc::new(Boastful(store))), Durability::Durable);
}

/// The same as `synchronous=OFF`, which the store does not allow anybody to set.
#[test]
fn a_store_whose_sync_is_taken_out_is_caught() {
    let unsynced = |store, fs: &PowerCutFs| {
        fs.lie_about_sync().expect("told");
        store
    };
    power::is_caught(Database(unsynced), Durability::Durable);
}
