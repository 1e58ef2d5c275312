use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::StoreFactory;
use super::tools::{Checked, append, check, check_eq, check_log, events, head, read, read_all, revision};
use crate::store::{Batch, EventStore, Position, Query, StoredEvent};

const APPENDERS: usize = 4;
const BATCHES: usize = 40;
const BATCH: usize = 3;

/// A reader that goes on after the last position it saw misses nothing, however many append at the same time.
///
/// # Errors
/// What the store got wrong.
pub async fn a_reader_never_passes_a_later_event(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let (appenders, passes) = append_concurrently(&store);
    let seen = follow(&*store, passes, |_| Ok(())).await?;
    finish(appenders).await?;
    let log = read_all(&*store).await?;
    let missed = log.len().abs_diff(seen.len());
    check(seen == log, || format!("a reader passed events that appeared later; lengths differ by {missed}"))
}

/// What a reader gets ends with a whole batch, and all events of a batch stand together.
///
/// # Errors
/// What the store got wrong.
pub async fn readers_never_see_part_of_a_batch(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let (appenders, passes) = append_concurrently(&store);
    let whole = |part: &[StoredEvent]| {
        check(part.len().is_multiple_of(BATCH), || {
            format!("a read ended inside a batch: {} events", part.len())
        })?;
        let together = part.chunks(BATCH).all(|batch| {
            batch.iter().all(|stored| stored.stream == batch[0].stream)
                && batch
                    .iter()
                    .zip(batch[0].revision.0..)
                    .all(|(stored, revision)| stored.revision.0 == revision)
        });
        check(together, || "the events of a batch do not stand together".to_owned())
    };
    follow(&*store, passes, whole).await?;
    finish(appenders).await
}

/// Revisions of each stream count from 0 without holes when many append to few streams.
///
/// # Errors
/// What the store got wrong.
pub async fn revisions_have_no_holes_under_concurrent_appends(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..APPENDERS {
        let store = Arc::clone(&store);
        appenders.spawn(async move {
            let mut places = Vec::new();
            for batch in 0..BATCHES {
                let stream = format!("shared{}", (appender + batch) % 2);
                let appended =
                    append(&*store, &Batch::to_stream(stream.as_str(), events("e", BATCH))).await?;
                places.push((appended.position, stream, appended.revision));
            }
            Ok::<_, String>(places)
        });
    }
    let places = appenders.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let log = read_all(&*store).await?;
    check_eq("number of events", &log.len(), &(APPENDERS * BATCHES * BATCH))?;
    let stored: HashSet<_> = log.iter().map(|e| (e.position, e.stream.to_string(), e.revision)).collect();
    let distinct: HashSet<_> = places.iter().map(|place| place.0).collect();
    check_eq("places returned", &distinct.len(), &(APPENDERS * BATCHES))?;
    for place in places {
        check(stored.contains(&place), || format!("no event stands at the place returned: {place:?}"))?;
    }
    Ok(())
}

/// An event whose append has returned is seen by the next read, by the head and by its stream's revision.
///
/// # Errors
/// What the store got wrong.
pub async fn appended_events_are_readable_at_once(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    for round in 0..50 {
        let stream = format!("s{}", round % 3);
        let appended = append(&*store, &Batch::to_stream(stream.as_str(), events("e", 2))).await?;
        check_eq("head after an append", &head(&*store).await?, &appended.position)?;
        check_eq("revision after an append", &revision(&*store, &stream).await?, &Some(appended.revision))?;
        let log = read(&*store, Query::stream(stream.as_str())).await?;
        check_eq("newest event", &log.last().map(|last| last.position), &Some(appended.position))?;
    }
    Ok(())
}

type Appenders = tokio::task::JoinSet<Checked>;
/// How often the reader has read something new so far.
type Passes = watch::Sender<usize>;

/// Starts appenders that wait for the reader now and then, so that it reads between appends, however fast they are.
fn append_concurrently(store: &Arc<dyn EventStore>) -> (Appenders, Passes) {
    let mut appenders = tokio::task::JoinSet::new();
    let passes = Passes::new(0);
    for appender in 0..APPENDERS {
        let store = Arc::clone(store);
        let mut passed = passes.subscribe();
        appenders.spawn(async move {
            for batch in 0..BATCHES {
                // A reader that has failed is waited for no longer.
                let _ = passed.wait_for(|passed| *passed >= batch / 4).await;
                append(&*store, &Batch::to_stream(format!("s{appender}"), events("e", BATCH))).await?;
            }
            Ok(())
        });
    }
    (appenders, passes)
}

async fn finish(appenders: Appenders) -> Checked {
    appenders.join_all().await.into_iter().collect()
}

/// Reads on after the last position seen until everything that [`append_concurrently`] appends has come, or
/// nothing comes although the head has all.
async fn follow(
    store: &dyn EventStore,
    passes: Passes,
    inspect: impl Fn(&[StoredEvent]) -> Checked,
) -> Result<Vec<StoredEvent>, String> {
    let mut seen: Vec<StoredEvent> = Vec::new();
    let mut after = Position::START;
    while seen.len() < APPENDERS * BATCHES * BATCH {
        let all = read(store, Query::default()).await?.len();
        let part = read(store, Query::after(after)).await?;
        inspect(&part)?;
        if !part.is_empty() {
            passes.send_modify(|passes| *passes += 1);
        }
        after = part.last().map_or(after, |last| last.position);
        seen.extend(part);
        if all == APPENDERS * BATCHES * BATCH && seen.len() < all {
            return Err(format!("a reader missed {} events that appeared behind it", all - seen.len()));
        }
        tokio::task::yield_now().await;
    }
    check_log(&seen)?;
    Ok(seen)
}
