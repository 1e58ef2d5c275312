//! What earlier versions of the format look like, so that later ones show that they can read them.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Query, Revision};
use steadfast_core::{Event, EventId};

use super::{Place, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_version_1_are_read() {
    let place = Place::shared().await;
    let client = place.client().await;
    client.batch_execute(&format!("CREATE SCHEMA {}", place.settings.schema)).await.expect("made");
    client.batch_execute(include_str!("v1.sql")).await.expect("restored");
    let store = place.open().await;
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    let seen: Vec<_> = events
        .iter()
        .map(|stored| {
            let event = &stored.event;
            (stored.position.parts(), &*stored.stream, stored.revision.0, event.kind(), event.subject())
        })
        .collect();
    let expected = [
        ((5_000_000_001, 1), "order-1", 0, "order.created", Some("1")),
        ((5_000_000_001, 2), "order-1", 1, "order.shipped", None),
        ((5_000_000_007, 1), "order-3", 0, "order.created", Some("3")),
    ];
    assert_eq!(seen, expected);
    let created = Event::restore(
        id(0xa),
        "/orders",
        "order.created",
        SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
    );
    let created = created
        .subject("1")
        .content_type("application/json")
        .data_schema("https://example.com/order")
        .trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("a trace"))
        .extension("commandid", "k")
        .bytes("{\"total\":5}");
    assert_eq!(events[0].event, created, "every attribute of it");
    assert_eq!(events[2].event.time(), SystemTime::UNIX_EPOCH - Duration::from_millis(1_500));
    assert_eq!(events[2].event.data()[..], [0, 255]);

    // A batch that was deleted is known, whole and in part.
    let again = |ids: &[u128]| {
        let events = ids.iter().map(|number| Event::new("/orders", "order.created").id(id(*number)).build());
        store.append(Batch::to_stream("order-2", events), Condition::Any, Durability::Durable)
    };
    let known = again(&[0xc, 0xd]).await.expect("it is there");
    let place = (known.duplicate, known.position.parts(), known.revision);
    assert_eq!(place, (true, (5_000_000_003, 2), Revision(1)));
    let part = again(&[0xc]).await;
    assert!(matches!(part, Err(Error::Invalid { .. })), "{part:?}");

    // Appends go on behind all that, and in the stream that was deleted too.
    for (stream, revision) in [("order-1", 2), ("order-2", 2)] {
        let next = Batch::to_stream(stream, [event("e")]);
        let next = store.append(next, Condition::Any, Durability::Durable).await.expect("appended");
        assert_eq!(next.revision, Revision(revision), "{stream}");
        assert!(next.position > events[2].position, "{stream}: {}", next.position);
    }
}

fn id(number: u128) -> EventId {
    EventId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | number)
}
