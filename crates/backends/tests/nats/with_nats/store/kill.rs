//! The server is killed at random moments; what it had promised is there when it is back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use steadfast_backends::nats::SyncInterval;
use steadfast_base::Seed;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, NewEvent, Query};
use steadfast_servers::NatsSettings;
use tokio_util::sync::CancellationToken;

use super::{Place, event, read};

fn rounds() -> usize {
    if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 20 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_of_the_server() {
    let place = Place::alone(NatsSettings { sync_always: true, ..NatsSettings::default() }).await;
    survives(place, rounds()).await;
}

/// What was written survives the death of the process, if not the loss of power.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_survives_a_kill_of_a_server_that_does_not_sync() {
    let mut place = Place::alone(NatsSettings::default()).await;
    place.config.sync = SyncInterval::Lazy;
    survives(place, rounds()).await;
}

async fn survives(mut place: Place, rounds: usize) {
    let store = Arc::new(place.open().await);
    let durability = store.capabilities().durability_max;
    let seed = Seed::random();
    eprintln!("seed {seed}");
    let mut rng = seed.rng();
    let (mut promised, mut total) = (HashSet::new(), 0);
    for round in 0..rounds {
        let stopping = CancellationToken::new();
        let appenders: Vec<_> = (0..4)
            .map(|appender| {
                let (store, stopping) = (Arc::clone(&store), stopping.clone());
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    while !stopping.is_cancelled() {
                        let mut batch = Batch::to_stream(format!("s{appender}"), [event("1"), event("2")]);
                        if appender % 2 == 1 {
                            // In two streams, which are several messages.
                            batch.events[1] =
                                NewEvent { stream: format!("t{appender}").into(), event: event("2") };
                        }
                        let level = if appender < 2 { durability } else { Durability::Written };
                        let ids: Vec<_> = batch.events.iter().map(|new| new.event.id()).collect();
                        if store.append(batch, Condition::Any, level).await.is_ok() {
                            acknowledged.extend(ids);
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        // A moment amid the appends.
        tokio::time::sleep(Duration::from_millis(20 + rng.below(150))).await;
        tokio::task::block_in_place(|| {
            let server = Arc::get_mut(&mut place.server).expect("nobody else has it");
            server.kill();
            server.restart().expect("it starts again");
        });
        stopping.cancel();
        for appender in appenders {
            promised.extend(appender.await.expect("no panic"));
        }
        let events = read(&store, Query::default()).await;
        let ids: HashSet<_> = events.iter().map(|stored| stored.event.id()).collect();
        assert_eq!(ids.len(), events.len(), "round {round}: nothing stands twice");
        let lost = promised.difference(&ids).count();
        assert_eq!(lost, 0, "round {round}: of {} promised events are lost", promised.len());
        for pair in events.chunks(2) {
            let [one, other] = pair else { panic!("round {round}: half a batch") };
            assert_eq!((one.event.kind(), other.event.kind()), ("1", "2"), "round {round}");
            assert_eq!(one.position.parts().0, other.position.parts().0, "round {round}");
        }
        for stream in ["s0", "s1", "t1"] {
            let one: Vec<_> = events.iter().filter(|stored| &*stored.stream == stream).cloned().collect();
            assert!(one.iter().zip(0..).all(|(stored, revision)| stored.revision.0 == revision), "{stream}");
            assert_eq!(read(&store, Query::stream(stream)).await, one, "round {round}: {stream}");
        }
        assert!(events.len() >= total, "round {round}: what survived once survives again");
        total = events.len();
    }
    assert!(promised.len() > rounds, "the appenders got somewhere");
    eprintln!("{} promised, {total} stand", promised.len());
    // Whoever opens it now finds the same.
    assert_eq!(read(&place.open().await, Query::default()).await.len(), total);
}
