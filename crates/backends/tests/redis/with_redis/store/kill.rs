use std::sync::Arc;

use super::Place;
use crate::server_killed::{rounds, survives};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_of_the_server() {
    let mut place = Place::new().await;
    let store = Arc::new(place.open().await);
    survives(store, rounds(), || {
        place.server.kill();
        place.server.restart().expect("it starts again");
    })
    .await;
}
