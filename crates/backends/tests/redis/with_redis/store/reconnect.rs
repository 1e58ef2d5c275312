use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use steadfast_base::units::HumanDuration;
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Expected, Filter, Outcome, Position, Query, Revision,
};
use tokio_util::sync::CancellationToken;

use super::{Place, event};

/// Answers that are lost with their connection are asked for again: each batch stands once, and none is refused for
/// what it has done itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_survive_their_connection() {
    let place = Place::new().await;
    let store = Arc::new(place.open().await);
    let stopping = CancellationToken::new();
    let appenders: Vec<_> = (0..4)
        .map(|appender| {
            let (store, stopping) = (Arc::clone(&store), stopping.clone());
            tokio::spawn(async move {
                let stream = format!("s{appender}");
                let (mut ids, mut expected) = (Vec::new(), Expected::NoStream);
                while !stopping.is_cancelled() {
                    let batch = Batch::to_stream(&*stream, [event("e")]);
                    ids.push(batch.events[0].event.id());
                    let condition = Condition::stream(&*stream, expected);
                    match store.append(batch, condition, Durability::Durable).await {
                        Ok(appended) => {
                            assert!(!appended.duplicate, "it is no repetition to the caller");
                            expected = Expected::Revision(appended.revision);
                        }
                        // Both connections of one append were ended; it says so.
                        Err(error) => {
                            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
                            let newest = store.revision(&stream).await.expect("readable");
                            expected = newest.map_or(Expected::NoStream, Expected::Revision);
                            if newest != ids.len().checked_sub(1).map(|last| Revision(last as u64)) {
                                ids.pop();
                            }
                        }
                    }
                }
                ids
            })
        })
        .collect();
    let mut commands = place.commands().await;
    for _ in 0..30 {
        let before = store.head().await.expect("readable");
        let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).to_owned();
        let _: u32 = kill.query_async(&mut commands).await.expect("killed");
        let going_on = async {
            while store.head().await.expect("readable") == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), going_on).await.expect("the appenders go on");
    }
    stopping.cancel();
    for (appender, ids) in appenders.into_iter().enumerate() {
        let ids = ids.await.expect("no panic");
        let query = Query::stream(format!("s{appender}"));
        let found: Vec<_> = store.read(query).try_collect().await.expect("readable");
        assert!(found.iter().map(|stored| stored.event.id()).eq(ids), "each once, in order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_waited_for_and_not_for_ever() {
    let mut place = Place::new().await;
    let patient = Arc::new(place.open().await);
    let mut subscription = patient.subscribe(Filter::all(), Position::START);
    place.settings.patience = HumanDuration(Duration::from_millis(200));
    let hasty = place.open().await;
    let batch = || Batch::to_stream("s", [event("e")]);
    hasty.append(batch(), Condition::Any, Durability::Durable).await.expect("appended");
    let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("in time");
    assert!(next.expect("it goes on").is_ok());

    tokio::task::block_in_place(|| place.server.kill());
    let refused = hasty.append(batch(), Condition::Any, Durability::Durable).await.expect_err("it is away");
    assert!(matches!(refused, Error::Io { .. }), "{refused}");
    // Its second attempt found nobody, so the first one's answer stays open; from then on nothing is sent.
    let refused = hasty.append(batch(), Condition::Any, Durability::Durable).await.expect_err("it is away");
    assert_eq!(refused.outcome(), Outcome::NotAppended, "{refused}");
    assert!(hasty.head().await.is_err() && hasty.revision("s").await.is_err());
    let store = Arc::clone(&patient);
    let waiting =
        tokio::spawn(async move { store.append(batch(), Condition::Any, Durability::Durable).await });
    tokio::task::block_in_place(|| place.server.restart()).expect("it starts again");
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("in time");
    waited.expect("no panic").expect("it was waited for");
    hasty.append(batch(), Condition::Any, Durability::Durable).await.expect("appended");
    for revision in 1..=2 {
        let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("in time");
        let next = next.expect("it goes on").expect("it has waited, too");
        assert_eq!(next.revision, Revision(revision));
    }
}

/// An append that was sent and never answered says that it may have been made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_leaves_it_open() {
    let mut place = Place::new().await;
    // Whoever comes first has the server write its file anew, which may take longer than that.
    drop(place.open().await);
    place.settings.patience = HumanDuration(Duration::from_millis(200));
    let store = Arc::new(place.open().await);
    let batch = || Batch::to_stream("s", [event("e")]);
    store.append(batch(), Condition::Any, Durability::Durable).await.expect("the connection is there");
    let _: () = place.ask("CLIENT PAUSE 60000 WRITE").await;
    let append = {
        let (store, batch) = (Arc::clone(&store), batch());
        tokio::spawn(async move { store.append(batch, Condition::Any, Durability::Durable).await })
    };
    let sent = async {
        while !place.ask::<String>("INFO clients").await.contains("blocked_clients:1") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sent).await.expect("it was sent");
    tokio::task::block_in_place(|| place.server.kill());
    let open = append.await.expect("no panic").expect_err("nobody answers");
    assert_eq!(open.outcome(), Outcome::Unknown, "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_is_under_way() {
    let place = Place::new().await;
    let store = Arc::new(place.open().await);
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        appends.spawn(async move {
            let batch = Batch::to_stream("s", [event("e")]);
            let id = batch.events[0].event.id();
            (id, store.append(batch, Condition::Any, Durability::Durable).await)
        });
    }
    store.close().await.expect("closed");
    let mut appended = HashSet::new();
    for (id, outcome) in appends.join_all().await {
        match outcome {
            Ok(_) => drop(appended.insert(id)),
            Err(error) => assert!(matches!(error, Error::Closed), "{error}"),
        }
    }
    let events: Vec<_> = place.open().await.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.iter().map(|stored| stored.event.id()).collect::<HashSet<_>>(), appended);
}
