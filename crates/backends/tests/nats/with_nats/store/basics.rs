use std::time::Duration;

use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use steadfast_backends::Secret;
use steadfast_backends::nats::store::{NatsStore, Settings};
use steadfast_backends::nats::{Config, SyncInterval};
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, Error, EventStore, Filter, Position, Query,
};
use steadfast_servers::NatsSettings;

use super::{Place, append, event, read};

/// What the server syncs is known by its configuration alone, and not believed without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_that_is_said_to_sync_makes_events_durable() {
    let place = Place::shared().await;
    assert_eq!(place.open().await.capabilities().durability_max, Durability::Durable);
    let config = Config { sync: SyncInterval::default(), ..place.config.clone() };
    let store = NatsStore::open(config, place.settings.clone()).await.expect("opened");
    assert_eq!(store.capabilities().durability_max, Durability::Written);
    let batch = Batch::to_stream("s", [event("e")]);
    let refused = store.append(batch.clone(), Condition::Any, Durability::Durable).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    let appended = store.append(batch, Condition::Any, Durability::Accepted).await.expect("appended");
    assert_eq!(appended.achieved, Durability::Written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_and_a_stream_of_a_newer_version_are_refused() {
    let place = Place::shared().await;
    for (settings, word) in [
        (Settings { stream: "a.b".to_owned(), ..Settings::default() }, "`stream`"),
        (Settings { remember: 0, ..Settings::default() }, "`remember`"),
    ] {
        let wrong = NatsStore::open(place.config.clone(), settings).await.expect_err("wrong settings");
        assert!(matches!(&wrong, Error::Invalid { reason } if reason.starts_with(word)), "{wrong}");
    }
    place.open().await.close().await.expect("closed");
    let context = place.jetstream().await;
    let mut made = context.get_stream(&place.settings.stream).await.expect("it is there");
    let mut config = made.info().await.expect("it answers").config.clone();
    assert_eq!(config.metadata.get("steadfast-store").map(String::as_str), Some("1"));
    config.metadata.insert("steadfast-store".to_owned(), "99".to_owned());
    context.update_stream(config).await.expect("changed");
    let newer = place.try_open().await.expect_err("made by a newer version");
    assert!(matches!(&newer, Error::Unsupported { what } if what.contains("newer version")), "{newer}");
}

/// What would lose events, or keep what is deleted, is found when the store is opened, with the mend.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_keep_events_is_refused() {
    let mut place = Place::shared().await;
    let name = place.settings.stream.clone();
    let right = stream::Config {
        discard: DiscardPolicy::New,
        metadata: [("steadfast-store".to_owned(), "1".to_owned())].into(),
        ..stream::Config::default()
    };
    let wrong = [
        (stream::Config { metadata: Default::default(), ..right.clone() }, "choose another name"),
        (stream::Config { storage: StorageType::Memory, ..right.clone() }, "file storage"),
        (stream::Config { retention: RetentionPolicy::Interest, ..right.clone() }, "retention `limits`"),
        (stream::Config { discard: DiscardPolicy::Old, ..right.clone() }, "discard: new"),
        (stream::Config { max_age: Duration::from_secs(3600), ..right.clone() }, "max_age"),
        (stream::Config { max_messages_per_subject: 5, ..right.clone() }, "max_msgs_per_subject"),
        (stream::Config { no_ack: true, ..right.clone() }, "no_ack"),
        (stream::Config { deny_purge: true, ..right.clone() }, "deny_purge"),
        (stream::Config { subjects: vec![format!("{name}.other")], ..right.clone() }, "add that"),
    ];
    let context = place.jetstream().await;
    let mut make = async |config: stream::Config, case: usize| {
        place.settings.stream = format!("{name}_{case}");
        let subjects = match config.subjects.is_empty() {
            true => vec![format!("{}.>", place.settings.stream)],
            false => config.subjects,
        };
        let config = stream::Config { name: place.settings.stream.clone(), subjects, ..config };
        context.create_stream(config).await.expect("made");
        place.try_open().await
    };
    for ((config, mend), case) in wrong.into_iter().zip(1..) {
        let refused = make(config, case).await.expect_err("it cannot keep events");
        assert!(matches!(&refused, Error::Invalid { reason } if reason.contains(mend)), "{mend}: {refused}");
    }
    let store = make(right, 0).await.expect("it is right");
    append(&store, Batch::to_stream("s", [event("e")])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_it_at_the_same_time() {
    let place = Place::shared().await;
    let stores = futures::future::join_all((0..6).map(|_| place.try_open())).await;
    for store in stores {
        append(&store.expect("opened"), Batch::to_stream("s", [event("e")])).await;
    }
    assert_eq!(read(&place.open().await, Query::default()).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_streams_may_be_any_text() {
    let place = Place::shared().await;
    let store = place.open().await;
    let names = ["a", "a.b", "a b", "*", ">", "a.>", "$JS", "é\u{1F4E6}", "\n", "=2E", "A", "-_"];
    let longest = "\u{1F4E6}".repeat(128);
    let names: Vec<&str> = names.into_iter().chain([longest.as_str()]).collect();
    for name in &names {
        append(&store, Batch::to_stream(*name, [event(name)])).await;
    }
    for name in &names {
        for direction in [Direction::Forward, Direction::Backward] {
            let found = read(&store, Query { direction, ..Query::stream(*name) }).await;
            let found: Vec<_> = found.iter().map(|stored| (&*stored.stream, stored.event.kind())).collect();
            assert_eq!(found, [(*name, *name)]);
        }
        assert_eq!(store.revision(name).await.ok().flatten().map(|revision| revision.0), Some(0));
    }
    assert_eq!(read(&store, Query::default()).await.len(), names.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_used_and_never_printed() {
    let further = "authorization { token: \"hunter2\" }".to_owned();
    let place = Place::alone(NatsSettings { sync_always: true, further }).await;
    let with = |token: &str| Config { token: Some(Secret::new(token)), ..place.config.clone() };
    let store = NatsStore::open(with("hunter2"), place.settings.clone()).await.expect("it is let in");
    assert!(!format!("{store:?}").contains("hunter"));
    let refused = NatsStore::open(with("hunter3"), place.settings.clone()).await.expect_err("not let in");
    assert!(matches!(refused, Error::Io { .. }), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("hunter"), "{refused:?}");
}

/// A read over many messages, and a subscription, give all of them in chunks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_streams_are_read_in_parts() {
    use futures::StreamExt;
    let mut place = Place::shared().await;
    place.settings.read_ahead = 16;
    let store = place.open().await;
    for number in 0..150 {
        append(&store, Batch::to_stream(format!("s{}", number % 3), [event(&number.to_string())])).await;
    }
    let numbers = |events: &[steadfast_core::store::StoredEvent]| -> Vec<u64> {
        events.iter().map(|stored| stored.event.kind().parse().expect("a number")).collect()
    };
    let all: Vec<u64> = (0..150).collect();
    assert_eq!(numbers(&read(&store, Query::default()).await), all);
    let back = read(&store, Query { direction: Direction::Backward, ..Query::default() }).await;
    assert_eq!(numbers(&back), all.iter().rev().copied().collect::<Vec<_>>());
    let third: Vec<u64> = all.iter().copied().filter(|number| number % 3 == 1).collect();
    assert_eq!(numbers(&read(&store, Query::stream("s1")).await), third);
    let mut subscription = store.subscribe(Filter::stream("s1"), Position::START);
    for number in third {
        let next = subscription.next().await.expect("an event").expect("readable");
        assert_eq!(numbers(&[next]), [number]);
    }
}
