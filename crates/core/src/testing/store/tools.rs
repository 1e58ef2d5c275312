use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;

use crate::Event;
use crate::store::{
    Appended, Batch, Condition, Durability, Error, EventStore, Position, Query, Revision, StoredEvent,
};

/// What a case found: nothing, or what is wrong.
pub type Checked = Result<(), String>;

/// How long a case may take before it counts as hung.
pub(super) const CASE_MAX: Duration = Duration::from_secs(60);
/// How long a single step may take that needs no more than the store's own work.
const STEP_MAX: Duration = Duration::from_secs(20);

/// Runs one case on a runtime of its own, for at most one minute.
///
/// # Errors
/// What the case found, or that it hung.
///
/// # Panics
/// The runtime cannot be built.
pub fn run(case: impl Future<Output = Checked>) -> Checked {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the operating system grants threads");
    let outcome = runtime.block_on(async { tokio::time::timeout(CASE_MAX, case).await });
    runtime.shutdown_timeout(STEP_MAX);
    outcome.unwrap_or_else(|_| Err(format!("hung for {CASE_MAX:?}")))
}

/// Says on stderr that a case was not run.
pub(in crate::testing) fn skip(why: &str) -> Checked {
    eprintln!("skipped: {why}");
    Ok(())
}

pub(in crate::testing) fn check(holds: bool, problem: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(problem()) }
}

pub(in crate::testing) fn check_eq<T: PartialEq + std::fmt::Debug>(
    what: &str,
    actual: &T,
    expected: &T,
) -> Checked {
    check(actual == expected, || format!("{what}: got {actual:?}, expected {expected:?}"))
}

/// Waits for one step, so that a store that hangs is named by what it hangs in.
pub(in crate::testing) async fn within<T>(what: &str, step: impl Future<Output = T>) -> Result<T, String> {
    within_time(what, STEP_MAX, step).await
}

pub(super) async fn within_time<T>(
    what: &str,
    limit: Duration,
    step: impl Future<Output = T>,
) -> Result<T, String> {
    tokio::time::timeout(limit, step).await.map_err(|_| format!("{what} did not end within {limit:?}"))
}

pub(in crate::testing) fn event(kind: &str) -> Event {
    Event::new("/conformance", kind).subject("s").data("text/plain", kind.to_owned())
}

pub(in crate::testing) fn events(kind: &str, count: usize) -> Vec<Event> {
    (0..count).map(|_| event(kind)).collect()
}

/// The durability at which cases append that are not about durability: what the store can do at best cheaply.
pub(in crate::testing) fn usual(store: &dyn EventStore) -> Durability {
    store.capabilities().durability_max.min(Durability::Written)
}

pub(in crate::testing) async fn append_if(
    store: &dyn EventStore,
    batch: &Batch,
    condition: Condition,
) -> Result<Result<Appended, Error>, String> {
    within("append", store.append(batch.clone(), condition, usual(store))).await
}

pub(in crate::testing) async fn append(store: &dyn EventStore, batch: &Batch) -> Result<Appended, String> {
    append_if(store, batch, Condition::Any).await?.map_err(|error| format!("append failed: {error}"))
}

pub(in crate::testing) async fn read(
    store: &dyn EventStore,
    query: Query,
) -> Result<Vec<StoredEvent>, String> {
    let described = format!("{query:?}");
    within("read", store.read(query).try_collect())
        .await?
        .map_err(|error| format!("read of {described} failed: {error}"))
}

pub(in crate::testing) async fn read_all(store: &dyn EventStore) -> Result<Vec<StoredEvent>, String> {
    let all = read(store, Query::default()).await?;
    check_log(&all)?;
    Ok(all)
}

pub(in crate::testing) async fn head(store: &dyn EventStore) -> Result<Position, String> {
    within("head", store.head()).await?.map_err(|error| format!("head failed: {error}"))
}

pub(in crate::testing) async fn revision(
    store: &dyn EventStore,
    stream: &str,
) -> Result<Option<Revision>, String> {
    within("revision", store.revision(stream)).await?.map_err(|error| format!("revision failed: {error}"))
}

/// Checks what holds of any complete forward read: positions ascend, revisions count from 0 without holes, no
/// event stands twice.
pub(in crate::testing) fn check_log(log: &[StoredEvent]) -> Checked {
    let mut revisions: HashMap<&Arc<str>, u64> = HashMap::new();
    let mut ids = std::collections::HashSet::new();
    let mut last = Position::START;
    for stored in log {
        let StoredEvent { position, stream, revision, event } = stored;
        check(*position > last, || format!("position {position} follows {last}"))?;
        last = *position;
        let expected = revisions.entry(stream).or_default();
        check(revision.0 == *expected, || {
            format!("stream `{stream}` has revision {revision} where {expected} belongs")
        })?;
        *expected += 1;
        check(ids.insert(event.id()), || format!("event {} stands twice", event.id()))?;
    }
    Ok(())
}
