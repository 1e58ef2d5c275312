//! What is posted well is taken, in each mode, and as safe as the answer says.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures::TryStreamExt as _;
use steadfast_backends::http::{Config, Intake, StoreSink, TopicSink};
use steadfast_base::ManualClock;
use steadfast_core::Event;
use steadfast_core::bus::Bus;
use steadfast_core::cloudevents::{FOREIGN_ID, foreign_id};
use steadfast_core::store::{Durability, EventStore, MemoryStore, Query};

use crate::support::{Kept, LEAST, LEAST_JSON, Served, post, serve};

#[tokio::test]
async fn each_mode_makes_the_same_event() {
    let kept = Arc::new(Kept::default());
    let now = UNIX_EPOCH + Duration::from_secs(5);
    let clock = Arc::new(ManualClock::at(now));
    let intake = Intake::with_clock(kept.clone(), Config::default(), clock).expect("valid");
    let served = Served::start(intake.router()).await;
    for (headers, body) in [
        (LEAST.to_vec(), String::new()),
        (vec![("content-type", "application/cloudevents+json; charset=UTF-8")], LEAST_JSON.to_owned()),
        (vec![("content-type", "Application/CloudEvents-Batch+JSON")], format!("[{LEAST_JSON}]")),
    ] {
        let answer = post(&served, &headers, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.headers["steadfast-durability"], "accepted");
        assert_eq!(answer.body, serde_json::json!({"events": 1, "durability": "accepted"}));
    }
    let expected =
        Event::restore(foreign_id("/s", "A-17"), "/s", "t", now).extension(FOREIGN_ID, "A-17").build();
    assert_eq!(*kept.events.lock(), [expected.clone(), expected.clone(), expected]);
}

#[tokio::test]
async fn attributes_are_percent_decoded_and_data_is_kept_as_it_is() {
    let kept = Arc::new(Kept::default());
    let (served, _) = serve(kept.clone(), Config::default()).await;
    let more = [("ce-subject", "Euro%20%E2%82%AC"), ("ce-tenant", "a"), ("content-type", "text/plain")];
    let headers: Vec<_> = LEAST.into_iter().chain(more).collect();
    assert_eq!(post(&served, &headers, "x\0y").await.status, 202);
    let empty = post(&served, &[("content-type", "application/cloudevents-batch+json")], "[]").await;
    assert_eq!((empty.status.as_u16(), &empty.body["events"]), (202, &0.into()));
    let events = kept.events.lock();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.subject(), event.content_type()), (Some("Euro €"), Some("text/plain")));
    assert_eq!((event.extensions()["tenant"].as_str(), &event.data()[..]), ("a", &b"x\0y"[..]));
}

#[tokio::test]
async fn only_what_was_achieved_is_promised() {
    let durable = Config { durability: Durability::Durable, ..Config::default() };
    let kept = Arc::new(Kept { achieved: Some(Durability::Durable), ..Kept::default() });
    let (served, _) = serve(kept, Config { durability: Durability::Written, ..Config::default() }).await;
    let answer = post(&served, &LEAST, "").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["steadfast-durability"]),
        (202, &"durable".parse().expect("a value"))
    );

    // A sink that breaks its word does not make us break ours.
    let kept = Arc::new(Kept { achieved: Some(Durability::Accepted), ..Kept::default() });
    let (served, _) = serve(kept, durable.clone()).await;
    assert_eq!(post(&served, &LEAST, "").await.status, 500);

    let store = StoreSink::new(Arc::new(MemoryStore::new()), |_| "posted".into());
    let error = Intake::new(Arc::new(store), durable).expect_err("memory is not durable").to_string();
    assert!(error.contains("durability"), "{error}");
}

#[tokio::test]
async fn a_store_keeps_each_event_once_whatever_comes_with_it() {
    let store = Arc::new(MemoryStore::new());
    let sink = StoreSink::new(store.clone(), |event| event.partition_key().unwrap_or("posted").into());
    let (served, _) = serve(Arc::new(sink), Config::default()).await;
    let batch = |ids: &[u32]| {
        let events = ids.iter().map(|id| LEAST_JSON.replace("A-17", &id.to_string()));
        format!("[{}]", events.collect::<Vec<_>>().join(","))
    };
    for ids in [&[1, 2][..], &[2, 3], &[1], &[3, 1, 2]] {
        let answer =
            post(&served, &[("content-type", "application/cloudevents-batch+json")], batch(ids)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let stored: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    let ids: Vec<_> = stored.iter().map(|stored| stored.event.extensions()[FOREIGN_ID].as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_topic_takes_what_somebody_has_subscribed_to() {
    let bus = Bus::new();
    let topic = bus.topic::<Event>("posted").expect("open");
    let (served, _) = serve(Arc::new(TopicSink::new(topic.clone())), Config::default()).await;
    assert_eq!(post(&served, &LEAST, "").await.status, 503, "nobody would get it");
    let mut subscription = topic.subscribe("test", 1).expect("open");
    assert_eq!(post(&served, &LEAST, "").await.status, 202);
    let delivery = subscription.next().await.expect("a delivery");
    assert_eq!(delivery.payload().kind(), "t");
}
