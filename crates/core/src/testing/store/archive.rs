use futures::{StreamExt, TryStreamExt};

use super::StoreFactory;
use super::tools::{Checked, append, check, check_eq, event, head, read, revision, skip, within};
use crate::Event;
use crate::store::{Batch, Direction, Error, EventStore, Filter, Position, Query, StoredEvent};

/// How many events are archived, and how large each is: together more than a part of a store under test.
const EVENTS: usize = 96;
const BYTES: usize = 16 << 10;

/// Whoever reads does not see that anything was archived: forward, backward, a stream, from a position, by subscription, and
/// after opening the store again.
///
/// # Errors
/// What the store got wrong.
pub async fn archiving_changes_nothing_that_is_read(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    if !store.capabilities().archives {
        append(&*store, &Batch::to_stream("kept", [event("e")])).await?;
        let archived = within("archive", store.archive(0)).await?;
        check(matches!(archived, Err(Error::Unsupported { .. })), || {
            format!("archive, which is not declared, gave {archived:?}")
        })?;
        return skip("the store does not archive");
    }
    let mut repeated = None;
    for number in 0..EVENTS {
        let stream = if number % 3 == 0 { "a" } else { "b" };
        let data = vec![b'a' + (number % 26) as u8; BYTES];
        let batch = Batch::to_stream(stream, [Event::new("/conformance", "e").data("text/plain", data)]);
        append(&*store, &batch).await?;
        repeated = Some(batch);
    }
    let before = seen(&*store).await?;
    archive(&*store, 1).await?;
    check_eq("what is read after archiving all but one part", &seen(&*store).await?, &before)?;
    archive(&*store, 0).await?;
    check_eq("what is read after archiving", &seen(&*store).await?, &before)?;
    let again = archive(&*store, 0).await?;
    check_eq("parts that were archived twice", &again, &0)?;

    let again = append(&*store, &repeated.expect("batches were appended")).await?;
    check(again.duplicate, || "a batch that was archived is not recognised".to_owned())?;
    let next = append(&*store, &Batch::to_stream("a", [event("next")])).await?;
    check(next.position > before.head, || format!("what is appended next stands at {}", next.position))?;
    let after = seen(&*store).await?;
    check_eq("events with the next", &after.forward.len(), &(EVENTS + 1))?;

    within("close", store.close()).await?.map_err(|error| format!("close failed: {error}"))?;
    drop(store);
    let Some(reopening) = factory.reopen() else { return skip("the store keeps nothing") };
    check_eq("what is read after opening again", &seen(&*reopening.await).await?, &after)
}

/// What readers see.
#[derive(Debug, PartialEq)]
struct Seen {
    forward: Vec<StoredEvent>,
    backward: Vec<StoredEvent>,
    stream: Vec<StoredEvent>,
    from_the_middle: Vec<StoredEvent>,
    back_from_the_middle: Vec<StoredEvent>,
    subscribed: Vec<StoredEvent>,
    head: Position,
    revisions: Vec<Option<u64>>,
}

async fn seen(store: &dyn EventStore) -> Result<Seen, String> {
    let backward = Query { direction: Direction::Backward, ..Query::default() };
    let forward = read(store, Query::default()).await?;
    let middle = forward.get(forward.len() / 2).map(|stored| stored.position);
    let subscription = store.subscribe(Filter::stream("b"), Position::START).take(EVENTS / 2);
    let subscribed = within("a subscription", subscription.try_collect()).await?;
    let mut revisions = vec![];
    for stream in ["a", "b", "absent"] {
        revisions.push(revision(store, stream).await?.map(|revision| revision.0));
    }
    Ok(Seen {
        backward: read(store, backward.clone()).await?,
        stream: read(store, Query::stream("a")).await?,
        from_the_middle: read(store, Query { from: middle, ..Query::default() }).await?,
        back_from_the_middle: read(store, Query { from: middle, limit: Some(10), ..backward }).await?,
        subscribed: subscribed.map_err(|error| format!("a subscription failed: {error}"))?,
        head: head(store).await?,
        revisions,
        forward,
    })
}

async fn archive(store: &dyn EventStore, kept: u32) -> Result<u64, String> {
    let archived = within("archive", store.archive(kept)).await?;
    archived.map(|archived| archived.parts).map_err(|error| format!("archive failed: {error}"))
}
