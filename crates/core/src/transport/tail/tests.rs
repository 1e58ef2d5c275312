use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use steadfast_base::Deadline;
use tokio_util::sync::CancellationToken;

use super::{AppendSink, Follower, Tail};
use crate::Event;
use crate::inbox::{Effect, Error};
use crate::store::{Batch, Condition, Durability, EventStore, Filter, MemoryStore, Query, StoredEvent};
use crate::testing::transport::{Opened, TransportFactory};
use crate::transport::{self, Outcome, Settlement, Sink, Source, Subscribe};

struct Tailed;

impl TransportFactory for Tailed {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        let sink = Arc::new(AppendSink::new(Arc::clone(&store), "sent"));
        let opened = Opened::new(Arc::new(Tail::new(store, Filter::all())), sink);
        Box::pin(std::future::ready(opened))
    }
}

crate::transport_conformance!(Tailed);

async fn send(store: &dyn EventStore, count: usize) {
    for number in 0..count {
        let event = Event::new("/test", "sent").data("text/plain", number.to_string());
        let batch = Batch::to_stream("s", [event]);
        store.append(batch, Condition::Any, Durability::Accepted).await.expect("memory does not fail");
    }
}

#[tokio::test]
async fn of_two_receivers_of_a_group_the_one_that_is_overtaken_ends() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    send(&*store, 4).await;
    let tail = Tail::new(Arc::clone(&store), Filter::all());
    let first = tail.open(&Subscribe::new("g")).await.expect("a readable store");
    let second = tail.open(&Subscribe::new("g")).await.expect("a readable store");
    for (receiver, is_overtaken) in [(&second, false), (&first, true), (&second, false)] {
        let received = receiver.receive(1).await.expect("it is not overtaken yet");
        let handled = Settlement { token: received[0].token, outcome: Outcome::Handled };
        let told = receiver.settle(&[handled]).await;
        assert_eq!(matches!(told, Err(transport::Error::Rejected { .. })), is_overtaken, "{told:?}");
    }
    let received = first.receive(1).await;
    assert!(matches!(received, Err(transport::Error::Rejected { .. })), "{received:?}");
}

#[tokio::test]
async fn events_that_are_sent_again_in_other_company_are_there_once() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let sink = AppendSink::new(Arc::clone(&store), "sent");
    let events: Vec<_> = (0..4)
        .map(|number: u32| Event::new("/test", "sent").subject("a").data("text/plain", number.to_string()))
        .collect();
    for part in [&events[..2], &events[..3], &events[1..2], &events[..]] {
        let deadline = Deadline::within(Duration::from_secs(10));
        sink.send(part, Durability::Accepted, deadline).await.expect("they are recognised");
    }
    assert_eq!(data_of(&*store, "sent").await, ["0", "1", "2", "3"]);
}

/// Returns the data of all events of a kind, in order.
async fn data_of(store: &dyn EventStore, kind: &str) -> Vec<String> {
    let query = Query { filter: Filter { kinds: vec![kind.into()], ..Filter::all() }, ..Query::default() };
    let stored: Vec<StoredEvent> = store.read(query).try_collect().await.expect("memory does not fail");
    stored.iter().map(|stored| String::from_utf8_lossy(stored.event.data()).into_owned()).collect()
}

/// The effect of every event but each fifth.
async fn effect(stored: StoredEvent) -> Result<Effect, Infallible> {
    tokio::task::yield_now().await;
    if stored.event.data().ends_with(b"5") {
        return Ok(Effect::none());
    }
    let effect = Event::new("/test", "effect").data("text/plain", stored.event.data().clone());
    Ok(Effect::to_stream("effects", [effect]))
}

fn follower(store: &Arc<dyn EventStore>) -> Follower {
    let filter = Filter { kinds: vec!["sent".into()], ..Filter::all() };
    Follower::new(Arc::clone(store), "f", filter).expect("memory can do that")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn a_follower_that_dies_again_and_again_has_each_effect_once(lives in proptest::collection::vec(0..60_usize, 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
            send(&*store, 40).await;
            for turns in lives {
                let follower = follower(&store);
                let mut run = Box::pin(follower.run(effect, CancellationToken::new()));
                for _ in 0..turns {
                    prop_assert!(futures::poll!(run.as_mut()).is_pending());
                }
            }
            let follower = follower(&store);
            let cancel = CancellationToken::new();
            let run = follower.run(effect, cancel.clone());
            let expected: Vec<String> =
                (0..40).map(|number: u32| number.to_string()).filter(|number| !number.ends_with('5')).collect();
            let done = async {
                // The runtime has no timer.
                let mut turns = 0;
                while data_of(&*store, "effect").await.len() < expected.len() {
                    turns += 1;
                    assert!(turns < 100_000, "effects are missing");
                    tokio::task::yield_now().await;
                }
                cancel.cancel();
            };
            let (run, ()) = tokio::join!(run, done);
            prop_assert!(run.is_ok(), "{run:?}");
            prop_assert_eq!(data_of(&*store, "effect").await, expected);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn of_two_followers_with_one_name_the_second_to_append_ends() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    send(&*store, 30).await;
    let cancel = CancellationToken::new();
    let (first, second) = (follower(&store), follower(&store));
    let both = async { tokio::join!(first.run(effect, cancel.clone()), second.run(effect, cancel.clone())) };
    let done = async {
        let effects = async {
            while data_of(&*store, "effect").await.len() < 27 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), effects).await.expect("one of them goes on");
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(both, done);
    let is_conflict = |ended: &Result<(), Error<Infallible>>| {
        matches!(ended, Err(Error::Store(crate::store::Error::Conflict { .. })))
    };
    assert!(is_conflict(&ended.0) != is_conflict(&ended.1), "{ended:?}");
    assert_eq!(data_of(&*store, "effect").await.len(), 27);
}
