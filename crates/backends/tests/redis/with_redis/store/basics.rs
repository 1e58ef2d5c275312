use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use steadfast_backends::redis::store::{RedisStore, Settings};
use steadfast_core::Event;
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, Error, EventStore, Expected, Filter, NewEvent, Position, Query,
    Revision,
};

use super::{Place, event};

async fn append(store: &RedisStore, batch: Batch) -> Result<steadfast_core::store::Appended, Error> {
    store.append(batch, Condition::Any, Durability::Accepted).await
}

/// Two stores stand for two processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_append_and_see_each_other() {
    let place = Place::new().await;
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
    let late = Batch::to_stream("s", [event("late")]);
    let late =
        here.append(late, Condition::stream("s", Expected::Revision(Revision(18))), Durability::Durable);
    let late = late.await;
    assert!(matches!(late, Err(Error::Conflict { actual: Some(Revision(19)), .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_of_other_names_know_nothing_of_each_other() {
    let place = Place::new().await;
    let one = place.open().await;
    append(&one, Batch::to_stream("s", [event("e")])).await.expect("appended");
    let settings = Settings { name: format!("{}-2", place.settings.name), ..place.settings.clone() };
    let other = RedisStore::open(place.config.clone(), settings).await.expect("opened");
    assert_eq!(other.head().await.expect("readable"), Position::START);
    let first = append(&other, Batch::to_stream("s", [event("e")])).await.expect("appended");
    assert_eq!(first.revision, Revision(0));
    let keys: Vec<String> = place.ask("KEYS *").await;
    assert!(keys.iter().all(|key| key.starts_with(&format!("{{{}", place.settings.name))), "{keys:?}");
}

#[tokio::test]
async fn a_newer_version_and_wrong_settings_are_refused() {
    let place = Place::new().await;
    place.open().await.close().await.expect("closed");
    let _: u32 = place.ask("HSET KEY:meta version 99").await;
    let newer = place.try_open().await.expect_err("made by a newer version");
    assert!(matches!(&newer, Error::Unsupported { what } if what.contains("newer version")), "{newer}");
    for (settings, field) in [
        (Settings { name: "a}b".to_owned(), ..Settings::default() }, "`name`"),
        (Settings { deduplicated_events: 0, ..Settings::default() }, "`deduplicatedEvents`"),
    ] {
        let wrong = RedisStore::open(place.config.clone(), settings).await.expect_err("it is wrong");
        assert!(matches!(&wrong, Error::Invalid { reason } if reason.starts_with(field)), "{wrong}");
    }
}

/// A store that becomes another's under a connection is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_changes_is_noticed() {
    let place = Place::new().await;
    let store = place.open().await;
    let _: u32 = place.ask("HSET KEY:meta version 99").await;
    let newer = append(&store, Batch::to_stream("s", [event("e")])).await.expect_err("another version");
    assert!(matches!(&newer, Error::Unsupported { what } if what.contains("newer version")), "{newer}");
    assert_eq!(place.ask::<u32>("EXISTS KEY:log").await, 0);
}

/// What version 1 of the format looks like, so that later ones show that they can read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_version_1_are_read() {
    let mut place = Place::new().await;
    place.settings.name = "shop".to_owned();
    let _: () = redis::Script::new(include_str!("v1.lua"))
        .invoke_async(&mut place.commands().await)
        .await
        .expect("restored");
    let store = place.open().await;
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    let seen: Vec<_> = events
        .iter()
        .map(|stored| {
            let position = stored.position.to_string();
            (position, &*stored.stream, stored.revision.0, stored.event.kind(), stored.event.subject())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("1700000000000".to_owned(), "order-1", 0, "order.created", Some("1")),
            ("1700000000000.1".to_owned(), "order-1", 1, "order.shipped", None)
        ]
    );
    assert_eq!(events[0].event.extensions().get("commandid").map(String::as_str), Some("k"));
    assert_eq!(events[0].event.data(), "{\"total\":5}");
    assert!(events[0].event.trace().is_some());
    let one: Vec<_> = store.read(Query::stream("order-1")).try_collect().await.expect("readable");
    assert_eq!(one, events);
    assert_eq!(store.revision("order-2").await.expect("readable"), None, "it was deleted");
    assert_eq!(store.head().await.expect("readable").to_string(), "1700000000005");
    assert_eq!(store.capabilities().deduplicated_events, 100_000);

    let again = events.into_iter().map(|stored| stored.event);
    let again = append(&store, Batch::to_stream("order-1", again)).await.expect("it is there");
    assert_eq!((again.duplicate, again.position.to_string()), (true, "1700000000000.1".to_owned()));
    let next = append(&store, Batch::to_stream("order-2", [event("e")])).await.expect("appended");
    assert_eq!(next.revision, Revision(2));
    assert_eq!(place.ask::<u32>("EXISTS KEY:gone:order-3 KEY:deleting").await, 0, "it has come to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_read_is_named_and_nothing_behind_it_is_returned() {
    let place = Place::new().await;
    let store = place.open().await;
    append(&store, Batch::to_stream("s", [event("1")])).await.expect("appended");
    let id: String = place.ask("XADD KEY:log * note by-hand").await;
    // A position of the same millisecond could not come behind it.
    let milliseconds: u64 = id.split('-').next().and_then(|time| time.parse().ok()).expect("a time");
    loop {
        let (seconds, micros): (u64, u64) = place.ask("TIME").await;
        if seconds * 1000 + micros / 1000 > milliseconds {
            break;
        }
    }
    append(&store, Batch::to_stream("s", [event("2")])).await.expect("appended");
    let error = store.read(Query::default()).try_collect::<Vec<_>>().await.expect_err("damaged");
    let named = |place: &str| place.starts_with(&format!("entry {id} of {{store-"));
    assert!(matches!(&error, Error::Damaged { place, .. } if named(place)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_and_large_events_go_in_and_come_out() {
    let place = Place::new().await;
    let store = place.open().await;
    let new = |number: usize| NewEvent { stream: format!("s{}", number % 3_000).into(), event: event("e") };
    let batch = Batch { events: (0..10_000).map(new).collect() };
    append(&store, batch.clone()).await.expect("appended");
    assert!(append(&store, batch).await.expect("it is there").duplicate);
    let large = |_| Event::new("/redis", "large").data("text/plain", vec![b'x'; 2 << 20]);
    append(&store, Batch::to_stream("large", (0..20).map(large))).await.expect("appended");
    assert_eq!(store.read(Query::default()).count().await, 10_020);
    let backward = Query { direction: Direction::Backward, limit: Some(20), ..Query::default() };
    let events: Vec<_> = store.read(backward).try_collect().await.expect("readable");
    assert!(events.iter().rev().map(|stored| stored.revision.0).eq(0..20));

    let many = append(&store, Batch::to_stream("s", (0..10_001).map(|_| event("e")))).await;
    assert!(matches!(many, Err(Error::Unsupported { .. })), "{many:?}");
    let heavy = append(&store, Batch::to_stream("s", (0..40).map(large))).await;
    assert!(matches!(heavy, Err(Error::Unsupported { .. })), "{heavy:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_identities_is_bounded_and_grows_only() {
    let mut place = Place::new().await;
    place.settings.deduplicated_events = 10;
    let store = place.open().await;
    let batches: Vec<_> =
        (0..30).map(|_| Batch::to_stream("s", [event("1"), event("2"), event("3")])).collect();
    for batch in &batches {
        append(&store, batch.clone()).await.expect("appended");
    }
    assert_eq!(place.ask::<u32>("HLEN KEY:ids").await, 12, "the last batches that make up ten");
    assert_eq!(place.ask::<u32>("XLEN KEY:batches").await, 4);
    for batch in &batches[26..] {
        assert!(append(&store, batch.clone()).await.expect("it is there").duplicate);
    }
    assert!(!append(&store, batches[0].clone()).await.expect("appended").duplicate, "it was forgotten");
    // A batch that is larger than the memory is remembered all the same, until the next.
    let large = Batch::to_stream("large", (0..2_500).map(|_| event("e")));
    append(&store, large.clone()).await.expect("appended");
    assert!(append(&store, large.clone()).await.expect("it is there").duplicate);
    for batch in &batches[1..6] {
        append(&store, batch.clone()).await.expect("appended");
    }
    assert_eq!(place.ask::<u32>("HLEN KEY:ids").await, 12);

    place.settings.deduplicated_events = 20;
    assert_eq!(place.open().await.capabilities().deduplicated_events, 20);
    place.settings.deduplicated_events = 5;
    assert_eq!(place.open().await.capabilities().deduplicated_events, 20, "others have declared it");
}

/// A condition may rest on a position that is far behind; the server never looks at all that at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_looks_at_all_that_stands_behind_its_position() {
    let place = Place::new().await;
    let store = place.open().await;
    let of = |kind: &str| Filter { kinds: vec![kind.into()], ..Filter::all() };
    // What matches is not among the first.
    for kind in ["other", "charged", "other"] {
        append(&store, Batch::to_stream("s", (0..500).map(|_| event(kind)))).await.expect("appended");
    }
    let none = |filter, after| {
        let condition = Condition::NoneMatching { filter, after };
        store.append(Batch::to_stream("new", [event("new")]), condition, Durability::Durable)
    };
    for (filter, holds) in [
        (of("charged"), false),
        (of("refunded"), true),
        (Filter::stream("s"), false),
        (Filter::stream("absent"), true),
    ] {
        let appended = none(filter.clone(), Position::START).await;
        match holds {
            true => assert!(appended.is_ok(), "{filter:?}: {appended:?}"),
            false => assert!(matches!(appended, Err(Error::Conflict { .. })), "{filter:?}: {appended:?}"),
        }
    }
    let head = store.head().await.expect("readable");
    none(of("charged"), head).await.expect("it holds from there on");
}

/// Of racing decisions that rest on the same events one is appended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_those_who_saw_the_same_wins() {
    let place = Place::new().await;
    let (here, there) = (place.open().await, place.open().await);
    append(&here, Batch::to_stream("s", (0..300).map(|_| event("other")))).await.expect("appended");
    for _ in 0..20 {
        let after = here.head().await.expect("readable");
        append(&here, Batch::to_stream("s", (0..100).map(|_| event("other")))).await.expect("appended");
        let condition = Condition::NoneMatching { filter: Filter::stream("seats"), after };
        let batch = || Batch::to_stream("seats", [event("taken")]);
        let (one, other) = tokio::join!(
            here.append(batch(), condition.clone(), Durability::Durable),
            there.append(batch(), condition.clone(), Durability::Durable)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_refuses_and_goes_on_when_it_has_some() {
    let place = Place::with(&[("maxmemory", "12mb"), ("maxmemory-policy", "noeviction")]).await;
    let store = place.open().await;
    let mut count = 0;
    let full = loop {
        let large = Event::new("/redis", "large").data("text/plain", vec![b'x'; 256 << 10]);
        match append(&store, Batch::to_stream("large", [large])).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
        assert!(count < 100, "it never was full");
    };
    assert!(matches!(full, Error::Full), "{full}");
    let events = store.read(Query::stream("large")).count().await;
    assert_eq!(events, count, "what was refused is not there");
    assert_eq!(
        store.delete("large", None, Durability::Accepted).await.expect("deleted").events,
        count as u64
    );
    append(&store, Batch::to_stream("s", [event("e")])).await.expect("there is room again");
    let refused = Place::with(&[("maxmemory", "12mb"), ("maxmemory-policy", "allkeys-lru")]).await;
    let refused = refused.try_open().await.expect_err("it would delete events");
    assert!(matches!(&refused, Error::Invalid { reason } if reason.contains("noeviction")), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_may_be_under_way_is_refused() {
    let mut place = Place::new().await;
    place.settings.under_way_max = 2;
    let store = place.open().await;
    let appends = (0..20).map(|_| append(&store, Batch::to_stream("s", [event("e")])));
    let outcomes = futures::future::join_all(appends).await;
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Overloaded))).count();
    assert_eq!((refused, outcomes.iter().filter(|outcome| outcome.is_ok()).count()), (18, 2));
    let none = Condition::NoneMatching { filter: Filter::stream("absent"), after: Position::START };
    store.append(Batch::to_stream("s", [event("e")]), none, Durability::Durable).await.expect("its turn");
}
