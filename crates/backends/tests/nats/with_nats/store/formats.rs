use steadfast_core::store::{Batch, Error, EventStore, Position, Query};

use super::{Place, append, event, read};

/// What version 1 of the format looks like, so that later ones show that they can read it. Each line is a message:
/// its subject below the stream's name, and what it says, where `|` is the end of the line of JSON.
const V1: &str = include_str!("v1.txt");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_version_1_are_read() {
    let place = Place::shared().await;
    place.open().await.close().await.expect("closed");
    for line in V1.lines() {
        let (subject, message) = line.split_once(' ').expect("a subject and a message");
        place.publish(subject, &message.replace('|', "\n")).await;
    }
    let store = place.open().await;
    let events = read(&store, Query::default()).await;
    let seen: Vec<_> = events
        .iter()
        .map(|stored| {
            let place = (&*stored.stream, stored.revision.0);
            (stored.position.parts(), place, stored.event.kind(), stored.event.subject())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ((1, 0), ("order-1", 0), "order.created", Some("1")),
            ((1, 1), ("order-1", 1), "order.shipped", None),
            ((4, 0), ("order.2", 0), "order.created", Some("2")),
            ((4, 1), ("order-1", 2), "order.closed", None),
        ]
    );
    assert_eq!(events[0].event.extensions().get("commandid").map(String::as_str), Some("k"));
    assert_eq!(
        (&events[0].event.data()[..], events[0].event.content_type()),
        (&b"{\"total\":5}"[..], Some("application/json"))
    );
    assert!(events[0].event.trace().is_some() && events[0].event.data_schema().is_some());
    assert_eq!(events[2].event.data(), "two");
    let deleted = "0190000000007000800000000000000f";
    let deleted = steadfast_core::EventId::from_u128(u128::from_str_radix(deleted, 16).expect("a number"));
    let deleted = steadfast_core::Event::new("/", "e").id(deleted).build();
    let again = append(&store, Batch::to_stream("order-3", [deleted])).await;
    assert_eq!((again.duplicate, again.position), (true, Position::from_parts(5, 0)));
    assert_eq!(append(&store, Batch::to_stream("order-1", [event("e")])).await.revision.0, 3);
    assert_eq!(append(&store, Batch::to_stream("order-3", [event("e")])).await.revision.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_none_of_ours_is_named_and_nothing_behind_it_is_returned() {
    let place = Place::shared().await;
    let store = place.open().await;
    append(&store, Batch::to_stream("s", [event("e")])).await;
    place.publish("stream.other", "hello").await;
    append_fails(&store).await;
    let damaged = {
        use futures::TryStreamExt;
        store.read(Query::default()).try_collect::<Vec<_>>().await
    };
    let is_named = |error: &Error| {
        let name = format!("message 2 of the stream `{}`", place.settings.stream);
        matches!(error, Error::Damaged { place, .. } if *place == name)
    };
    assert!(damaged.as_ref().is_err_and(is_named), "{damaged:?}");
    let opened = place.try_open().await;
    assert!(opened.as_ref().is_err_and(is_named), "{opened:?}");
}

async fn append_fails(store: &steadfast_backends::nats::store::NatsStore) {
    let batch = Batch::to_stream("s", [event("e")]);
    let condition = steadfast_core::store::Condition::Any;
    let failed = store.append(batch, condition, steadfast_core::store::Durability::Durable).await;
    assert!(matches!(failed, Err(Error::Damaged { .. })), "{failed:?}");
}
