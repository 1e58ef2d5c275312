//! Readers wait for transactions that are open, and skip nothing that these append in the end.

use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Filter, Position, Query};

use super::{Place, event};
use crate::with_postgres::support::until;

/// What an append calls, with one event.
pub(super) const APPEND: &str = "SELECT * FROM steadfast_append('on', ARRAY['held'], ARRAY[gen_random_uuid()], ARRAY['held'], \
    ARRAY[NULL::text], ARRAY['/held'], ARRAY[0::bigint], ARRAY[0], ARRAY[NULL::text], ARRAY[NULL::text], \
    ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[''::bytea], ARRAY[]::text[], ARRAY[]::bigint[], false, \
    ARRAY[]::text[], ARRAY[]::text[], ARRAY[]::text[], 0, 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_waits_for_an_open_transaction_and_skips_nothing() {
    let place = Place::alone().await;
    let store = place.open().await;
    let append = |stream: &'static str| {
        let batch = Batch::to_stream(stream, [event(stream)]);
        store.append(batch, Condition::Any, Durability::Durable)
    };
    append("before").await.expect("appended");
    let held = place.client().await;
    held.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.expect("it has its number");
    append("after").await.expect("appends go on");

    let read = || async {
        let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
        events.into_iter().map(|stored| stored.stream.to_string()).collect::<Vec<_>>()
    };
    let one: Vec<_> = store.read(Query::stream("after")).try_collect().await.expect("readable");
    assert_eq!(one.len(), 1, "one stream waits for nobody");
    assert_eq!(read().await, ["before"], "what an open transaction may append comes before `after`");
    let mut subscription = store.subscribe(Filter::all(), Position::START);
    let first = subscription.next().await.and_then(Result::ok).expect("it is there");
    assert_eq!(&*first.stream, "before");
    assert!(tokio::time::timeout(Duration::from_millis(300), subscription.next()).await.is_err(), "it waits");

    held.batch_execute(APPEND).await.expect("appended");
    held.batch_execute("COMMIT").await.expect("committed");
    let mut rest = Vec::new();
    for _ in 0..2 {
        let next = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.expect("in time");
        rest.push(next.and_then(Result::ok).expect("an event").stream.to_string());
    }
    assert_eq!(rest, ["held", "after"]);
    assert_eq!(read().await, ["before", "held", "after"]);
    assert!(subscription.next().now_or_never().is_none());
}

/// A database that was restored from a dump counts its transactions anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_on_another_server_goes_on_behind_its_newest_event() {
    let place = Place::shared().await;
    let store = place.open().await;
    store
        .append(Batch::to_stream("s", [event("a")]), Condition::Any, Durability::Durable)
        .await
        .expect("appended");
    store.close().await.expect("closed");
    // As if the numbers had come from a server that has seen many more transactions.
    let client = place.client().await;
    client
        .batch_execute("UPDATE steadfast_events SET position = position + 1000000000")
        .await
        .expect("moved");
    let store = place.open().await;
    let next = store.append(Batch::to_stream("s", [event("b")]), Condition::Any, Durability::Durable).await;
    let next = next.expect("appended");
    until(async || store.head().await.expect("it answers") >= next.position).await;
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    let kinds: Vec<_> = events.iter().map(|stored| stored.event.kind()).collect();
    assert_eq!(kinds, ["a", "b"]);
    assert!(next.position > events[0].position);
}
