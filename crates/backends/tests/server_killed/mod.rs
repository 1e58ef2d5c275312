//! The server of a store is killed at random moments; what it had promised is there when it is back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use steadfast_core::store::{
    Batch, Condition, Durability, EventStore, NewEvent, Query, Revision, StoredEvent,
};
use steadfast_core::{Event, EventId, testing};
use tokio_util::sync::CancellationToken;

const APPENDERS: u64 = 4;

/// How often the server is killed.
pub(crate) fn rounds() -> usize {
    if std::env::var_os("STEADFAST_FULL").is_some() { 200 } else { 20 }
}

/// How often all of the log is read again; after the other rounds only what came since, for the log grows with each.
const ROUNDS_PER_WHOLE_READ: usize = 10;

/// Appends to `store` while `kill` kills its server and starts it again, `rounds` times, and checks after each that every
/// acknowledged batch is there, once and whole, and each stream in order. Returns how many events there are in the end.
pub(crate) async fn survives(store: Arc<dyn EventStore>, rounds: usize, mut kill: impl FnMut()) -> usize {
    let seed = testing::seed();
    let mut rng = seed.rng();
    let (mut promised, mut seen) = (HashSet::new(), Vec::<StoredEvent>::new());
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
        let whole = round % ROUNDS_PER_WHOLE_READ == 0 || round + 1 == rounds;
        if whole {
            let events = read(&*store, Query::default()).await;
            let parts_at = seen.iter().zip(&events).position(|(before, now)| before != now);
            let parts_at = parts_at.or_else(|| (events.len() < seen.len()).then_some(events.len()));
            assert!(
                parts_at.is_none(),
                "round {round}: what was read once is read again, at its place: event {parts_at:?} of {} was {:#?}, \
                 and of {} is {:#?}",
                seen.len(),
                parts_at.map(|at| seen.get(at)),
                events.len(),
                parts_at.map(|at| events.get(at)),
            );
            seen = events;
        } else {
            let since = Query { from: seen.last().map(|last| last.position), ..Query::default() };
            seen.extend(read(&*store, since).await);
        }
        check(&*store, &seen, round, whole).await;
        let ids: HashSet<_> = seen.iter().map(|stored| stored.event.id()).collect();
        let lost = promised.difference(&ids).count();
        assert_eq!(lost, 0, "round {round}: of {} promised events are lost", promised.len());
    }
    assert!(promised.len() > rounds, "the appenders got somewhere");
    seen.len()
}

/// Appends batches of two events until it is to stop, and returns the identities of those that were acknowledged as
/// written or more: what is accepted only, some ask for no more, is whole or absent.
async fn append(store: Arc<dyn EventStore>, appender: u64, stopping: CancellationToken) -> Vec<EventId> {
    let most = store.capabilities().durability_max;
    let level = match appender {
        1 => most.min(Durability::Written),
        3 => Durability::Accepted,
        _ => most,
    };
    let mut acknowledged = Vec::new();
    while !stopping.is_cancelled() {
        let pair = EventId::generate().to_string();
        let event = |kind: &str| Event::new("/kill", kind).subject(pair.as_str()).build();
        let mut batch = Batch::to_stream(format!("s{appender}"), [event("1"), event("2")]);
        if appender >= APPENDERS / 2 {
            batch.events[1] = NewEvent { stream: format!("t{appender}").into(), event: event("2") };
        }
        let ids: Vec<_> = batch.events.iter().map(|new| new.event.id()).collect();
        let appended = store.append(batch, Condition::Any, level).await;
        if appended.is_ok_and(|appended| appended.achieved >= Durability::Written) {
            acknowledged.extend(ids);
        }
    }
    acknowledged
}

/// Checks that batches are whole, and that each stream is in order and, if `whole`, reads as it stands among all events.
async fn check(store: &dyn EventStore, events: &[StoredEvent], round: usize, whole: bool) {
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
        if whole {
            let alone = read(store, Query::stream(stream.as_str())).await;
            assert!(alone == among, "round {round}: {stream} reads otherwise than among all events");
        }
    }
}

/// Reads all that `query` asks for.
pub(crate) async fn read(store: &dyn EventStore, query: Query) -> Vec<StoredEvent> {
    store.read(query).try_collect().await.expect("readable")
}
