use futures::StreamExt;

use super::StoreFactory;
use super::tools::{
    Checked, append, append_if, check, check_eq, event, events, head, read, revision, skip, usual, within,
};
use crate::store::{
    Batch, Condition, Deleted, Direction, Error, EventStore, Expected, Filter, Position, Query, Revision,
    StoredEvent,
};

/// A deleted stream is empty for everybody, the others stand as before, and its next event goes on with the revisions.
///
/// # Errors
/// What the store got wrong.
pub async fn a_deleted_stream_is_empty_and_goes_on(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    if !store.capabilities().deletes {
        return refused(&*store).await;
    }
    let gone = Batch::to_stream("gone", events("e", 3));
    append(&*store, &gone).await?;
    append(&*store, &Batch::to_stream("kept", events("e", 2))).await?;
    let before = kept(&*store).await?;
    let end = head(&*store).await?;

    conflicts(&*store, Expected::Revision(Revision(1)), Some(Revision(2))).await?;
    conflicts(&*store, Expected::NoStream, Some(Revision(2))).await?;
    check_eq("events before deleting", &read(&*store, Query::stream("gone")).await?.len(), &3)?;
    let deleted = delete(&*store, Some(Expected::Revision(Revision(2)))).await?;
    let deleted = deleted.map_err(|error| format!("delete failed: {error}"))?;
    check_eq("deleted events", &deleted.events, &3)?;
    check(deleted.achieved >= usual(&*store), || format!("deleting achieved only `{}`", deleted.achieved))?;

    is_empty(&*store).await?;
    check_eq("the other stream", &kept(&*store).await?, &before)?;
    check_eq("head", &head(&*store).await?, &end)?;
    conflicts(&*store, Expected::Exists, None).await?;
    let again = delete(&*store, None).await?.map_err(|error| format!("deleting twice failed: {error}"))?;
    check_eq("events deleted twice", &again.events, &0)?;

    let condition = Condition::stream("gone", Expected::NoStream);
    let next = append_if(&*store, &Batch::to_stream("gone", [event("e")]), condition).await?;
    let next = next.map_err(|error| format!("append to a deleted stream failed: {error}"))?;
    check_eq("the revision after those that were deleted", &next.revision, &Revision(3))?;
    check(next.position > end, || format!("it stands at {}, not behind {end}", next.position))?;
    let _ = delete(&*store, None).await?.map_err(|error| format!("delete failed: {error}"))?;

    close(&*store).await?;
    let Some(reopening) = factory.reopen() else { return skip("the store keeps nothing") };
    let store = reopening.await;
    is_empty(&*store).await?;
    check_eq("the other stream, reopened", &kept(&*store).await?, &before)?;
    let next = append(&*store, &Batch::to_stream("gone", [event("e")])).await?;
    check_eq("the revision after those that were deleted, reopened", &next.revision, &Revision(4))
}

/// Batches of deleted events are still recognised, and conditions on what matches do not see them.
///
/// # Errors
/// What the store got wrong.
pub async fn deleted_events_do_not_come_back(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    if !store.capabilities().deletes {
        return refused(&*store).await;
    }
    let batch = Batch::to_stream("gone", events("e", 2));
    let first = append(&*store, &batch).await?;
    let _ = delete(&*store, None).await?.map_err(|error| format!("delete failed: {error}"))?;
    let again = append(&*store, &batch).await?;
    check(again.duplicate && again.position == first.position, || {
        format!("a batch of deleted events was appended again: {again:?}")
    })?;
    is_empty(&*store).await?;
    let none = Condition::NoneMatching { filter: Filter::stream("gone"), after: Position::START };
    let new = append_if(&*store, &Batch::to_stream("new", [event("e")]), none).await?;
    check(new.is_ok(), || format!("a condition saw deleted events: {new:?}"))
}

async fn delete(
    store: &dyn EventStore,
    expected: Option<Expected>,
) -> Result<Result<Deleted, Error>, String> {
    within("delete", store.delete("gone", expected, usual(store))).await
}

async fn close(store: &dyn EventStore) -> Checked {
    within("close", store.close()).await?.map_err(|error| format!("close failed: {error}"))
}

async fn kept(store: &dyn EventStore) -> Result<Vec<StoredEvent>, String> {
    read(store, Query::stream("kept")).await
}

async fn conflicts(store: &dyn EventStore, expected: Expected, actual: Option<Revision>) -> Checked {
    let deleted = delete(store, Some(expected)).await?;
    let is_right = matches!(&deleted, Err(Error::Conflict { stream, actual: found }) if &**stream == "gone" && *found == actual);
    check(is_right, || format!("deleting on condition {expected:?} gave {deleted:?}"))
}

async fn is_empty(store: &dyn EventStore) -> Checked {
    check_eq("revision of a deleted stream", &revision(store, "gone").await?, &None)?;
    for direction in [Direction::Forward, Direction::Backward] {
        let found = read(store, Query { direction, ..Query::default() }).await?;
        check(found.iter().all(|stored| &*stored.stream != "gone"), || "deleted events are read".to_owned())?;
        let found = read(store, Query { direction, ..Query::stream("gone") }).await?;
        check_eq("events of a deleted stream", &found.len(), &0)?;
    }
    if kept(store).await?.is_empty() {
        return Ok(());
    }
    let mut subscription = store.subscribe(Filter::all(), Position::START);
    let first = within("a subscription", subscription.next()).await?;
    check(matches!(&first, Some(Ok(stored)) if &*stored.stream == "kept"), || {
        format!("a subscription began with {first:?}")
    })
}

async fn refused(store: &dyn EventStore) -> Checked {
    append(store, &Batch::to_stream("gone", [event("e")])).await?;
    let deleted = delete(store, None).await?;
    check(matches!(deleted, Err(Error::Unsupported { .. })), || {
        format!("delete, which is not declared, gave {deleted:?}")
    })?;
    skip("the store does not delete")
}
