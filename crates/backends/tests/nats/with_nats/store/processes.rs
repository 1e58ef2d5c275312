//! Two stores on one stream stand for two processes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use steadfast_backends::nats::store::NatsStore;
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Expected, Filter, NewEvent, Position, Query, Revision,
};

use super::{Place, append, event, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_append_in_turns_and_see_each_other() {
    let place = Place::shared().await;
    let (here, there) = (place.open().await, place.open().await);
    let mut seen = there.subscribe(Filter::all(), Position::START);
    for number in 0..20_u64 {
        let store = if number % 2 == 0 { &here } else { &there };
        let expected =
            number.checked_sub(1).map_or(Expected::NoStream, |last| Expected::Revision(Revision(last)));
        let batch = Batch::to_stream("s", [event(&number.to_string())]);
        let appended = store.append(batch, Condition::stream("s", expected), Durability::Durable).await;
        assert_eq!(appended.map(|appended| appended.revision).ok(), Some(Revision(number)));
        let next = tokio::time::timeout(Duration::from_secs(10), seen.next()).await.expect("in time");
        assert_eq!(next.and_then(Result::ok).map(|stored| stored.revision), Some(Revision(number)));
    }
    for (store, revision) in [(&here, 18), (&there, 17)] {
        let expected = Condition::stream("s", Expected::Revision(Revision(revision)));
        let late = store.append(Batch::to_stream("s", [event("late")]), expected, Durability::Durable).await;
        assert!(matches!(late, Err(Error::Conflict { actual: Some(Revision(19)), .. })), "{late:?}");
    }
    here.delete("s", None, Durability::Durable).await.expect("deleted");
    let again = there.delete("s", None, Durability::Durable).await.map(|deleted| deleted.events);
    assert_eq!(again.ok(), Some(0));
    assert_eq!(append(&there, Batch::to_stream("s", [event("next")])).await.revision, Revision(20));
}

/// Many at once, in two processes: revisions have no holes, and nothing stands twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_append_at_once() {
    at_once(256, 4, 25).await;
}

/// So many at once that each process sends them in groups: where one process was sooner than the other, nothing of the
/// other's group may follow on that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_append_groups_at_once() {
    at_once(256, 64, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_append_at_once_where_messages_come_one_at_a_time() {
    at_once(1, 4, 25).await;
}

async fn at_once(read_ahead: usize, appenders: usize, appends: usize) {
    let mut place = Place::shared().await;
    place.settings.read_ahead = read_ahead;
    let stores = [Arc::new(place.open().await), Arc::new(place.open().await)];
    let appending: Vec<_> = (0..appenders)
        .map(|appender| {
            let store = Arc::clone(&stores[appender % 2]);
            tokio::spawn(async move {
                for number in 0..appends {
                    let new = |stream: String| NewEvent { stream: stream.into(), event: event("e") };
                    let mut batch = Batch::to_stream("shared", [event("e"), event("e")]);
                    if number % 2 == appender % 2 {
                        batch.events.push(new(format!("s{appender}")));
                    }
                    append(&store, batch).await;
                }
            })
        })
        .collect();
    for appender in appending {
        appender.await.expect("no panic");
    }
    for store in stores {
        let all = read(&store, Query::default()).await;
        let shared: Vec<_> =
            all.iter().filter(|stored| &*stored.stream == "shared").map(|stored| stored.revision.0).collect();
        let events = 2 * appenders * appends;
        assert_eq!(shared, (0..events as u64).collect::<Vec<_>>());
        assert_eq!(read(&store, Query::stream("shared")).await.len(), events);
        let ids: HashSet<_> = all.iter().map(|stored| stored.event.id()).collect();
        assert_eq!(ids.len(), all.len());
    }
}

/// The same event is in the store once, also where it is to go to different streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_both_append_at_once_stands_once() {
    let place = Place::shared().await;
    let (here, there) = (place.open().await, place.open().await);
    for round in 0..40 {
        let once = event("once");
        let [one, other] = ["a", "b"].map(|stream| match round % 2 {
            // The same batch in the one case, another in the other.
            0 => Batch::to_stream("same", [once.clone()]),
            _ => Batch::to_stream(stream, [once.clone(), event("own")]),
        });
        let (one, other) = tokio::join!(
            here.append(one, Condition::Any, Durability::Durable),
            there.append(other, Condition::Any, Durability::Durable)
        );
        let outcomes = [one, other];
        let appended = outcomes.iter().filter(|one| matches!(one, Ok(one) if !one.duplicate)).count();
        assert_eq!(appended, 1, "round {round}: {outcomes:?}");
        let other = outcomes.iter().find(|one| !matches!(one, Ok(one) if !one.duplicate)).expect("two");
        match round % 2 {
            0 => assert!(matches!(other, Ok(again) if again.duplicate), "round {round}: {outcomes:?}"),
            _ => assert!(matches!(other, Err(Error::Invalid { .. })), "round {round}: {outcomes:?}"),
        }
    }
    assert_eq!(read(&here, Query::default()).await.len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_decide_on_the_same_events_one_appends() {
    let place = Place::shared().await;
    let (here, there) = (place.open().await, place.open().await);
    for round in 0..20 {
        let seen = here.head().await.expect("readable");
        let none = Condition::NoneMatching {
            filter: Filter { kinds: vec!["charged".into()], ..Filter::default() },
            after: seen,
        };
        let batch = |stream: &str| Batch::to_stream(stream, [event("charged")]);
        let (one, other) = tokio::join!(
            here.append(batch("a"), none.clone(), Durability::Durable),
            there.append(batch("b"), none, Durability::Durable)
        );
        let outcomes = [one, other];
        assert_eq!(outcomes.iter().filter(|one| one.is_ok()).count(), 1, "round {round}: {outcomes:?}");
        let conflict = outcomes.iter().any(|one| matches!(one, Err(Error::Conflict { .. })));
        assert!(conflict, "round {round}: {outcomes:?}");
    }
}

/// Whoever opens the store recognises what others have appended, as far back as is stated and no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_events_are_recognised_by_whoever_opens_it() {
    let mut place = Place::shared().await;
    place.settings.remember = 10;
    let here = place.open().await;
    assert_eq!(here.capabilities().deduplicated_events, 10);
    let stream = |number| format!("s{}", number % 3);
    let mut appended = Vec::new();
    for number in 0..20 {
        let batch = Batch::to_stream(stream(number), [event("1"), event("2")]);
        appended.push((append(&here, batch.clone()).await.position, batch));
    }
    recognised(&[&here, &place.open().await], &appended[15..]).await;
    // Messages that say what is deleted hold no event, and do not count: the newest ten lie far apart.
    let mut appended = Vec::new();
    for number in 0..20 {
        let batch = Batch::to_stream(stream(number), [event("1")]);
        appended.push((append(&here, batch.clone()).await.position, batch));
        here.delete(&stream(number), None, Durability::Durable).await.expect("deleted");
    }
    let fresh = place.open().await;
    recognised(&[&here, &fresh], &appended[10..]).await;
    let forgotten = append(&fresh, appended[0].1.clone()).await;
    assert!(!forgotten.duplicate, "{forgotten:?}");
}

async fn recognised(stores: &[&NatsStore], appended: &[(Position, Batch)]) {
    for store in stores {
        for (position, batch) in appended {
            let again = append(store, batch.clone()).await;
            assert_eq!((again.duplicate, again.position), (true, *position));
        }
    }
}
