use steadfast_core::store::{Batch, Direction, Durability, EventStore, NewEvent, Query};

use super::{Place, append, event, read};

fn new(stream: &str) -> NewEvent {
    NewEvent { stream: stream.into(), event: event(stream) }
}

/// What is deleted has left the server, and only its identity is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_events_leave_the_server() {
    let place = Place::shared().await;
    let store = place.open().await;
    let both = Batch { events: vec![new("gone"), new("kept"), new("gone")] };
    let several = append(&store, both.clone()).await;
    let alone = Batch::to_stream("gone", [event("secret"), event("secret")]);
    let place_alone = append(&store, alone.clone()).await;
    assert_eq!(place.messages().await, 4);
    let deleted = store.delete("gone", None, Durability::Durable).await.expect("deleted");
    assert_eq!(deleted.events, 4);
    // The part of the other stream and the end of their batch; two that say what is gone.
    assert_eq!(place.messages().await, 4);
    for store in [&store, &place.open().await] {
        for direction in [Direction::Forward, Direction::Backward] {
            let left = read(store, Query { direction, ..Query::default() }).await;
            assert_eq!(left.iter().map(|stored| &*stored.stream).collect::<Vec<_>>(), ["kept"]);
            assert_eq!(read(store, Query { direction, ..Query::stream("gone") }).await, []);
        }
        assert_eq!(store.head().await.ok(), Some(place_alone.position));
        for (batch, position) in [(&both, several.position), (&alone, place_alone.position)] {
            let again = append(store, batch.clone()).await;
            assert!(again.duplicate && again.position == position, "{again:?}");
        }
    }
}

/// Who deletes may die when it has said so, and before it has done so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_deleted_is_deleted_by_whoever_comes_next() {
    let place = Place::shared().await;
    let store = place.open().await;
    append(&store, Batch::to_stream("gone", [event("e")])).await;
    append(&store, Batch::to_stream("gone", [event("e")])).await;
    place.publish("stream.gone", "{\"is\":\"gone\",\"stream\":\"gone\",\"next\":2,\"head\":[2,0]}\n").await;
    assert_eq!(read(&store, Query::stream("gone")).await, []);
    assert_eq!(store.revision("gone").await.ok(), Some(None));
    assert_eq!(place.messages().await, 3);
    let again = store.delete("gone", None, Durability::Durable).await.expect("deleted");
    assert_eq!((again.events, place.messages().await), (0, 1));
    assert_eq!(append(&store, Batch::to_stream("gone", [event("e")])).await.revision.0, 2);

    place.publish("stream.gone", "{\"is\":\"gone\",\"stream\":\"gone\",\"next\":3,\"head\":[4,0]}\n").await;
    assert_eq!(place.messages().await, 3);
    let other = place.open().await;
    assert_eq!(place.messages().await, 1, "whoever opens it does so, too");
    assert_eq!(append(&other, Batch::to_stream("gone", [event("e")])).await.revision.0, 3);
    assert_eq!(read(&store, Query::default()).await.len(), 1);
}
