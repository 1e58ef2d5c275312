use std::sync::Arc;

use super::Place;
use crate::server_killed::{rounds, survives};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_of_the_server() {
    let mut place = Place::alone().await;
    let store = Arc::new(place.open().await);
    survives(store, rounds(), || {
        let server = Arc::get_mut(&mut place.server).expect("nobody else has it");
        server.kill();
        server.restart().expect("it starts again");
    })
    .await;
}
