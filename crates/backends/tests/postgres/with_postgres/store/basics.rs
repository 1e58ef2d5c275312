use futures::TryStreamExt;
use steadfast_backends::postgres::store::{PostgresStore, Settings};
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Query};

use super::{Place, event, support};
use crate::with_postgres::support::until;

#[tokio::test]
async fn tables_of_a_newer_version_and_wrong_settings_are_refused() {
    let place = Place::shared().await;
    place.open().await.close().await.expect("closed");
    place.client().await.batch_execute("UPDATE steadfast_log SET version = 99").await.expect("changed");
    let newer = place.try_open().await.expect_err("made by a newer version");
    assert!(matches!(&newer, Error::Unsupported { what } if what.contains("newer version")), "{newer}");
    let settings = Settings { schema: "a\"b".to_owned(), ..Settings::default() };
    let wrong = PostgresStore::open(place.config.clone(), settings).await.expect_err("a wrong name");
    assert!(matches!(&wrong, Error::Invalid { reason } if reason.starts_with("`schema`")), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_it_at_the_same_time() {
    let place = Place::shared().await;
    let stores = futures::future::join_all((0..6).map(|_| place.try_open())).await;
    for store in stores {
        let batch = Batch::to_stream("s", [event("e")]);
        let store = store.expect("opened");
        let appended = store.append(batch, Condition::Any, Durability::Written).await.expect("appended");
        until(async || store.head().await.expect("it answers") >= appended.position).await;
    }
    let events: Vec<_> = place.open().await.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.len(), 6);
}

/// A server that does not sync is not believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_fsync_is_declared_so() {
    let server = support::hold_server().await;
    let settings = Settings { schema: "without_fsync".to_owned(), ..Settings::default() };
    let store = PostgresStore::open(support::config(&server, "postgres"), settings).await.expect("opened");
    assert_eq!(store.capabilities().durability_max, Durability::Accepted);
    let batch = Batch::to_stream("s", [event("e")]);
    let refused = store.append(batch, Condition::Any, Durability::Durable).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
}
