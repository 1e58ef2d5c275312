use futures::{StreamExt, TryStreamExt};
use steadfast_backends::redis::store::RedisStore;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Expected, Query, Revision};

use super::{Place, event};

/// More than one step deletes.
const MANY: usize = 2_500;

async fn filled(place: &Place) -> RedisStore {
    let store = place.open().await;
    for stream in ["kept", "gone", "kept"] {
        let batch = Batch::to_stream(stream, (0..MANY).map(|_| event("e")));
        store.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    }
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_is_deleted_in_steps() {
    let place = Place::new().await;
    let store = filled(&place).await;
    let wrong = store.delete("gone", Some(Expected::NoStream), Durability::Durable).await;
    assert!(matches!(wrong, Err(Error::Conflict { actual: Some(Revision(2_499)), .. })), "{wrong:?}");
    let deleted = store.delete("gone", Some(Expected::Exists), Durability::Durable).await.expect("deleted");
    assert_eq!((deleted.events, deleted.achieved), (MANY as u64, Durability::Durable));
    assert_eq!(place.ask::<usize>("XLEN KEY:log").await, 2 * MANY);
    assert_eq!(place.ask::<usize>("EXISTS KEY:gone:gone KEY:index:gone KEY:deleting").await, 0);
    let all: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    assert!(all.len() == 2 * MANY && all.iter().all(|stored| &*stored.stream == "kept"));
}

/// A process that dies amid a deletion leaves some events; the next to open the store, or to delete, takes them away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_was_begun_is_finished() {
    let place = Place::new().await;
    let store = filled(&place).await;
    for finish_by_opening in [true, false] {
        let _: String = place.ask("RENAME KEY:index:gone KEY:gone:gone").await;
        let _: u32 = place.ask("SADD KEY:deleting gone").await;
        assert_eq!(store.revision("gone").await.expect("readable"), None);
        assert_eq!(store.read(Query::stream("gone")).count().await, 0);
        // The stream goes on meanwhile.
        let next = Batch::to_stream("gone", [event("next")]);
        let next = store.append(next, Condition::stream("gone", Expected::NoStream), Durability::Durable);
        let next = next.await.expect("appended");
        if finish_by_opening {
            place.open().await;
            assert_eq!(store.revision("gone").await.expect("readable"), Some(next.revision));
        } else {
            let deleted = store.delete("gone", None, Durability::Durable).await.expect("deleted");
            assert_eq!(deleted.events, 1, "what was begun was not this one's");
        }
        assert_eq!(place.ask::<usize>("EXISTS KEY:gone:gone KEY:deleting").await, 0);
    }
    assert_eq!(store.read(Query::default()).count().await, 2 * MANY);
}
