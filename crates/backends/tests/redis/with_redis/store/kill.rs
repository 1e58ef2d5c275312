//! The server is killed at random moments; what it had promised is there when it is back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_base::Seed;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
use tokio_util::sync::CancellationToken;

use super::{Place, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_of_the_server() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 20 };
    let mut place = Place::new().await;
    let store = Arc::new(place.open().await);
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
                        let batch = Batch::to_stream(format!("s{appender}"), [event("1"), event("2")]);
                        let level = if appender % 2 == 0 { Durability::Durable } else { Durability::Written };
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
            place.server.kill();
            place.server.restart().expect("it starts again");
        });
        stopping.cancel();
        for appender in appenders {
            promised.extend(appender.await.expect("no panic"));
        }
        let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
        let ids: HashSet<_> = events.iter().map(|stored| stored.event.id()).collect();
        assert_eq!(ids.len(), events.len(), "round {round}: nothing stands twice");
        assert!(promised.is_subset(&ids), "round {round}: something that was promised is lost");
        for pair in events.chunks(2) {
            let [one, other] = pair else { panic!("round {round}: half a batch") };
            assert_eq!((one.event.kind(), other.event.kind()), ("1", "2"), "round {round}");
            assert_eq!((&one.stream, one.revision.next()), (&other.stream, other.revision), "round {round}");
        }
        for appender in 0..4 {
            let stream = format!("s{appender}");
            let one = events.iter().filter(|stored| *stored.stream == *stream).cloned().collect::<Vec<_>>();
            let by_index: Vec<_> = store.read(Query::stream(stream)).try_collect().await.expect("readable");
            assert!(by_index == one, "round {round}: the index of a stream is another than the log");
        }
        assert!(events.len() >= total, "round {round}: what survived once survives again");
        total = events.len();
    }
    assert!(promised.len() > rounds, "the appenders got somewhere");
}
