//! Batches over several streams lie in several messages.

use futures::StreamExt;
use steadfast_core::store::{Batch, Direction, EventStore, Filter, NewEvent, Position, Query, StoredEvent};

use super::{Place, append, event, read};

fn batch(streams: &[&str], kind: &str) -> Batch {
    let new = |stream: &&str| NewEvent { stream: (*stream).into(), event: event(kind) };
    Batch { events: streams.iter().map(new).collect() }
}

fn places(events: &[StoredEvent]) -> Vec<(String, u64)> {
    events.iter().map(|stored| (stored.stream.to_string(), stored.revision.0)).collect()
}

fn named(places: &[(&str, u64)]) -> Vec<(String, u64)> {
    places.iter().map(|(stream, revision)| ((*stream).to_owned(), *revision)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_read_in_their_order_from_any_place() {
    let place = Place::shared().await;
    let store = place.open().await;
    append(&store, batch(&["a"], "0")).await;
    let second = append(&store, batch(&["b", "a", "c", "a", "b"], "1")).await;
    append(&store, batch(&["b"], "2")).await;
    append(&store, batch(&["c", "a"], "3")).await;
    let expected =
        named(&[("a", 0), ("b", 0), ("a", 1), ("c", 0), ("a", 2), ("b", 1), ("b", 2), ("c", 1), ("a", 3)]);
    for store in [&store, &place.open().await] {
        let all = read(store, Query::default()).await;
        assert_eq!(places(&all), expected);
        assert_eq!(all[5].position, second.position);
        for filter in [Filter::all(), Filter::stream("a"), Filter::stream("b"), Filter::stream("c")] {
            for from in all.iter().map(|stored| Some(stored.position)).chain([None]) {
                let passes = |e: &&StoredEvent| filter.matches(&e.stream, &e.event);
                let after: Vec<_> =
                    all.iter().filter(passes).filter(|e| Some(e.position) > from).cloned().collect();
                let query = Query { filter: filter.clone(), from, ..Query::default() };
                assert_eq!(read(store, query).await, after, "{filter:?} after {from:?}");
                let mut before: Vec<_> = all
                    .iter()
                    .filter(passes)
                    .filter(|e| from.is_none_or(|from| e.position < from))
                    .cloned()
                    .collect();
                before.reverse();
                let query = Query {
                    filter: filter.clone(),
                    from,
                    direction: Direction::Backward,
                    ..Query::default()
                };
                assert_eq!(read(store, query).await, before, "{filter:?} before {from:?}");
                let subscribed: Vec<_> = store
                    .subscribe(filter.clone(), from.unwrap_or(Position::START))
                    .take(after.len())
                    .map(|stored| stored.expect("readable"))
                    .collect()
                    .await;
                assert_eq!(subscribed, after, "{filter:?} subscribed after {from:?}");
            }
        }
        let again = append(
            store,
            Batch {
                events: all[1..6]
                    .iter()
                    .map(|e| NewEvent { stream: e.stream.clone(), event: e.event.clone() })
                    .collect(),
            },
        );
        let again = again.await;
        assert!(again.duplicate && again.position == second.position, "{again:?}");
    }
}

/// Whoever dies, or loses a race, between the messages of a batch leaves some that never become whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_became_whole_is_not_there() {
    let place = Place::shared().await;
    let store = place.open().await;
    append(&store, batch(&["a", "b"], "0")).await; // Messages 1 to 3.
    let id = |last: u8| format!("01900000-0000-7000-8000-0000000000{last:02x}");
    let part = |stream: &str, first: u64, before: u64, ahead: u64, batch: u8, event: u8| {
        format!(
            "{{\"is\":\"events\",\"stream\":\"{stream}\",\"first\":{first},\"since\":0,\"before\":{before},\
             \"part\":{{\"batch\":\"{}\",\"ahead\":{ahead},\"events\":2,\"head\":[3,1]}},\"events\":[{{\"id\":\"{}\",\
             \"at\":0,\"type\":\"lost\",\"source\":\"/\",\"time\":[0,0],\"size\":0}}]}}\n",
            id(batch),
            id(event)
        )
    };
    let whole =
        |batch: u8| format!("{{\"is\":\"whole\",\"batch\":\"{}\",\"parts\":2,\"events\":2}}\n", id(batch));
    // One part of two, then both of another batch without the end, then a part in the place of an end.
    place.publish("stream.a", &part("a", 1, 1, 2, 1, 10)).await;
    place.publish("stream.a", &part("a", 1, 1, 2, 2, 11)).await;
    place.publish("stream.b", &part("b", 1, 2, 1, 2, 12)).await;
    let mut subscription = store.subscribe(Filter::stream("b"), Position::START);
    assert!(subscription.next().await.is_some_and(|stored| stored.is_ok_and(|e| e.revision.0 == 0)));
    let pending = tokio::time::timeout(std::time::Duration::from_millis(200), subscription.next());
    assert!(pending.await.is_err(), "whether it becomes whole is not decided yet");
    let before = named(&[("a", 0), ("b", 0)]);
    for store in [&store, &place.open().await] {
        assert_eq!(places(&read(store, Query::default()).await), before);
        assert_eq!(places(&read(store, Query::stream("a")).await), named(&[("a", 0)]));
        assert_eq!(store.head().await.map(Position::parts).ok(), Some((3, 1)));
        assert_eq!(store.revision("a").await.ok().flatten().map(|revision| revision.0), Some(0));
    }
    // What is appended behind decides.
    let fresh = place.open().await;
    append(&fresh, batch(&["b"], "1")).await;
    append(&store, batch(&["a", "c"], "2")).await;
    let after = named(&[("a", 0), ("b", 0), ("b", 1), ("a", 1), ("c", 0)]);
    for store in [&store, &fresh, &place.open().await] {
        assert_eq!(places(&read(store, Query::default()).await), after);
        for direction in [Direction::Forward, Direction::Backward] {
            let found = read(store, Query { direction, ..Query::stream("b") }).await;
            assert_eq!(found.len(), 2, "{direction:?}");
            let found = read(store, Query { direction, ..Query::stream("a") }).await;
            assert!(found.iter().all(|stored| stored.event.kind() != "lost") && found.len() == 2);
        }
        assert_eq!(store.revision("b").await.ok().flatten().map(|revision| revision.0), Some(1));
    }
    let next = tokio::time::timeout(std::time::Duration::from_secs(10), subscription.next()).await;
    assert_eq!(next.ok().flatten().and_then(Result::ok).map(|stored| stored.revision.0), Some(1));
    // An end whose parts stand elsewhere makes nothing whole.
    place.publish("common", &whole(2)).await;
    assert_eq!(places(&read(&store, Query::default()).await), after);
}
