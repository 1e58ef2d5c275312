use async_nats::jetstream::stream;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, NewEvent, Query};

use super::{Place, append, event, read};

fn large(bytes: usize) -> Event {
    Event::new("/nats", "large").data("text/plain", vec![b'x'; bytes])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_does_not_fit_is_refused_before_it_is_sent() {
    let place = Place::shared().await;
    let store = place.open().await;
    // The server takes 1 MiB.
    let two = Batch::to_stream("s", [large(600 << 10), large(600 << 10)]);
    let refused = store.append(two, Condition::Any, Durability::Durable).await;
    assert!(matches!(&refused, Err(Error::Invalid { reason }) if reason.contains("1048576")), "{refused:?}");
    let other = NewEvent { stream: "t".into(), event: event("e") };
    let mut several = Batch::to_stream("s", [large(1 << 20)]);
    several.events.insert(0, other);
    let refused = store.append(several, Condition::Any, Durability::Durable).await;
    assert!(
        matches!(&refused, Err(Error::Invalid { reason }) if reason.contains("max_payload")),
        "{refused:?}"
    );
    assert_eq!(place.messages().await, 0, "nothing of it was sent");
    append(&store, Batch::to_stream("s", [large(1000 << 10)])).await;
    // In several streams, each part counts by itself.
    let mut several = Batch::to_stream("s", [large(600 << 10)]);
    several.events.push(NewEvent { stream: "t".into(), event: large(600 << 10) });
    append(&store, several).await;
    assert_eq!(read(&store, Query::default()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_says_so_and_goes_on_once_there_is_room() {
    let place = Place::shared().await;
    place.open().await.close().await.expect("closed");
    let context = place.jetstream().await;
    let change = async |max_messages, max_message_size| {
        let mut made = context.get_stream(&place.settings.stream).await.expect("it is there");
        let config = made.info().await.expect("it answers").config.clone();
        let config = stream::Config { max_messages, max_message_size, ..config };
        context.update_stream(config).await.expect("changed");
    };
    change(2, 2_000).await;
    let store = place.open().await;
    let refused =
        store.append(Batch::to_stream("s", [large(2_000)]), Condition::Any, Durability::Durable).await;
    assert!(
        matches!(&refused, Err(Error::Invalid { reason }) if reason.contains("max_msg_size")),
        "{refused:?}"
    );
    let several = |kind: &str| {
        let new = |stream: &str| NewEvent { stream: stream.into(), event: event(kind) };
        Batch { events: vec![new("s"), new("t")] }
    };
    append(&store, Batch::to_stream("s", [event("e")])).await;
    // There is room for a part of it alone.
    let refused = store.append(several("two"), Condition::Any, Durability::Durable).await;
    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    let refused =
        store.append(Batch::to_stream("s", [event("e")]), Condition::Any, Durability::Durable).await;
    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    assert_eq!(read(&store, Query::default()).await.len(), 1);
    change(-1, -1).await;
    append(&store, several("three")).await;
    let revisions: Vec<_> = read(&store, Query::default()).await.iter().map(|e| e.revision.0).collect();
    assert_eq!(revisions, [0, 1, 0]);
}
