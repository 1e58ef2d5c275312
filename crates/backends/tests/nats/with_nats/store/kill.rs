use std::sync::Arc;

use steadfast_backends::nats::SyncInterval;
use steadfast_core::store::Query;
use steadfast_servers::NatsSettings;

use super::Place;
use crate::server_killed::{self, read, rounds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_of_the_server() {
    let place = Place::alone(NatsSettings { sync_always: true, ..NatsSettings::default() }).await;
    survives(place).await;
}

/// What was written survives the death of the process, if not the loss of power.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_survives_a_kill_of_a_server_that_does_not_sync() {
    let mut place = Place::alone(NatsSettings::default()).await;
    place.config.sync = SyncInterval::Lazy;
    survives(place).await;
}

async fn survives(mut place: Place) {
    let store = Arc::new(place.open().await);
    let total = server_killed::survives(store, rounds(), || {
        let server = Arc::get_mut(&mut place.server).expect("nobody else has it");
        server.kill();
        server.restart().expect("it starts again");
    })
    .await;
    // Whoever opens it now finds the same.
    assert_eq!(read(&place.open().await, Query::default()).await.len(), total);
}
