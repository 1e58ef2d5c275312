//! A server that comes back with less than it had.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Filter, Position, Query, Revision,
};

use super::{Place, event};

fn batch(kind: &str) -> Batch {
    Batch::to_stream("s", [event(kind)])
}

/// What is lost where nothing is promised leaves its places empty: a reader who has been there misses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_lost_events_are_not_given_again() {
    let mut place = Place::with(&[("appendonly", "no")]).await;
    let store = place.open().await;
    let mut seen = Position::START;
    for round in 0..4 {
        let mut subscription = store.subscribe(Filter::all(), seen);
        for number in 0..5 {
            let appended = store.append(batch("e"), Condition::Any, Durability::Accepted).await;
            let appended = appended.expect("appended");
            assert_eq!(appended.revision, Revision(number), "round {round}: the stream began anew");
            assert!(appended.position > seen, "round {round}");
            let next =
                tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("in time");
            seen = next.and_then(Result::ok).expect("an event").position;
            assert_eq!(seen, appended.position);
        }
        tokio::task::block_in_place(|| {
            place.server.kill();
            place.server.restart().expect("it starts again");
        });
        assert_eq!(store.head().await.expect("readable"), Position::START, "all is lost");
        // The subscription that was there goes on, too, and also if one appends who has seen nothing of all this.
        let fresh = place.open().await;
        let whoever = if round % 2 == 0 { &store } else { &fresh };
        let appended = whoever.append(batch("next"), Condition::Any, Durability::Accepted).await;
        let appended = appended.expect("appended");
        assert!(appended.position > seen, "round {round}");
        let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("in time");
        assert_eq!(next.and_then(Result::ok).map(|stored| stored.position), Some(appended.position));
        seen = appended.position;
        store.delete("s", None, Durability::Accepted).await.expect("deleted");
        let _: u32 = place.ask("HDEL KEY:next s").await;
    }
}

/// The clock may stand before what was lost: then this process knows better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_ascend_though_the_clock_does_not() {
    let place = Place::new().await;
    let store = place.open().await;
    let ahead = 4_000_000_000_000_u64;
    let _: u32 = place.ask(&format!("HSET KEY:meta head {ahead}-4294967290")).await;
    let mut last = store.head().await.expect("readable");
    for _ in 0..3 {
        let three = Batch::to_stream("s", (0..3).map(|_| event("e")));
        let appended = store.append(three, Condition::Any, Durability::Durable).await.expect("appended");
        assert!(appended.position > last);
        last = appended.position;
    }
    assert_eq!(
        last,
        Position::from_parts(ahead + 1, 5),
        "an index has no room for more behind the first number"
    );
    let revisions: Vec<_> = store.read(Query::stream("s")).try_collect().await.expect("readable");
    assert!(revisions.iter().map(|stored| stored.revision.0).eq(0..9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_durable_and_is_gone_ends_the_store() {
    let place = Place::new().await;
    let store = place.open().await;
    let first = store.append(batch("e"), Condition::Any, Durability::Durable).await.expect("appended");
    let _: () = place.ask("FLUSHALL").await;
    let appended = store.append(batch("e"), Condition::Any, Durability::Durable).await;
    assert!(matches!(appended, Err(Error::Damaged { .. })), "{appended:?}");
    let read = store.read(Query::default()).try_collect::<Vec<_>>().await;
    assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
    assert!(matches!(store.head().await, Err(Error::Damaged { .. })));

    // Whoever opens it again goes on with what is left; a reader that has seen more is told.
    let store = place.open().await;
    let mut subscription = store.subscribe(Filter::all(), first.position);
    let told = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("in time");
    assert!(matches!(told, Some(Err(Error::Damaged { .. }))), "{told:?}");
    let next = store.append(batch("e"), Condition::Any, Durability::Durable).await.expect("appended");
    assert!(next.position > first.position);
}
