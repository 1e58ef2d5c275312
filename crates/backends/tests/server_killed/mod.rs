//! The server of a store is killed at random moments; what it had promised is there when it is back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_base::Seed;
use steadfast_core::store::{
    Batch, Condition, Durability, EventStore, Filter, NewEvent, Query, Revision, StoredEvent,
};
use steadfast_core::{Event, EventId};
use tokio_util::sync::CancellationToken;

const APPENDERS: u64 = 4;

/// How often the server is killed.
pub(crate) fn rounds() -> usize {
    if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 20 }
}

/// Appends to `store` while `kill` kills its server and starts it again, `rounds` times, and checks after each that every
/// acknowledged batch is there, once and whole, and each stream in order. Returns how many events there are in the end.
pub(crate) async fn survives(store: Arc<dyn EventStore>, rounds: usize, mut kill: impl FnMut()) -> usize {
    let seed = Seed::random();
    eprintln!("seed {seed}");
    let mut rng = seed.rng();
    let (mut promised, mut total) = (HashSet::new(), 0);
    for round in 0..rounds {
        let stopping = CancellationToken::new();
        let appenders: Vec<_> = (0..APPENDERS)
            .map(|appender| tokio::spawn(append(Arc::clone(&store), appender, stopping.clone())))
            .collect();
        // A moment amid the appends.
        tokio::time::sleep(Duration::from_millis(20 + rng.below(150))).await;
        tokio::task::block_in_place(&mut kill);
        stopping.cancel();
        for appender in appenders {
            promised.extend(appender.await.expect("no panic"));
        }
        let events = read(&*store, Filter::all()).await;
        check(&*store, &events, round).await;
        let ids: HashSet<_> = events.iter().map(|stored| stored.event.id()).collect();
        let lost = promised.difference(&ids).count();
        assert_eq!(lost, 0, "round {round}: of {} promised events are lost", promised.len());
        assert!(events.len() >= total, "round {round}: what survived once survives again");
        total = events.len();
    }
    assert!(promised.len() > rounds, "the appenders got somewhere");
    total
}

/// Appends batches of two events until it is to stop, and returns the identities of those that were acknowledged.
async fn append(store: Arc<dyn EventStore>, appender: u64, stopping: CancellationToken) -> Vec<EventId> {
    let most = store.capabilities().durability_max;
    let level = if appender.is_multiple_of(2) { most } else { most.min(Durability::Written) };
    let mut acknowledged = Vec::new();
    while !stopping.is_cancelled() {
        let pair = EventId::generate().to_string();
        let event = |kind: &str| Event::new("/kill", kind).subject(pair.as_str()).build();
        let mut batch = Batch::to_stream(format!("s{appender}"), [event("1"), event("2")]);
        if appender >= APPENDERS / 2 {
            batch.events[1] = NewEvent { stream: format!("t{appender}").into(), event: event("2") };
        }
        let ids: Vec<_> = batch.events.iter().map(|new| new.event.id()).collect();
        if store.append(batch, Condition::Any, level).await.is_ok() {
            acknowledged.extend(ids);
        }
    }
    acknowledged
}

/// Checks that batches are whole, and that each stream reads as it stands among all events.
async fn check(store: &dyn EventStore, events: &[StoredEvent], round: usize) {
    let ids: HashSet<_> = events.iter().map(|stored| stored.event.id()).collect();
    assert_eq!(ids.len(), events.len(), "round {round}: nothing stands twice");
    for pair in events.chunks(2) {
        let [one, other] = pair else { panic!("round {round}: half a batch") };
        assert_eq!((one.event.kind(), other.event.kind()), ("1", "2"), "round {round}");
        assert_eq!(one.event.subject(), other.event.subject(), "round {round}: halves of two batches");
    }
    for stream in (0..APPENDERS).flat_map(|appender| [format!("s{appender}"), format!("t{appender}")]) {
        let among: Vec<_> = events.iter().filter(|stored| *stored.stream == *stream).cloned().collect();
        let in_order = among.iter().zip(0..).all(|(stored, revision)| stored.revision == Revision(revision));
        assert!(in_order, "round {round}: revisions of {stream}");
        let alone = read(store, Filter::stream(stream.as_str())).await;
        assert!(alone == among, "round {round}: {stream} reads otherwise than among all events");
    }
}

/// Reads all events that match.
pub(crate) async fn read(store: &dyn EventStore, filter: Filter) -> Vec<StoredEvent> {
    store.read(Query { filter, ..Query::default() }).try_collect().await.expect("readable")
}
