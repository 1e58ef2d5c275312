use futures::StreamExt;

use super::StoreFactory;
use super::tools::{
    Checked, append, append_if, check, check_eq, event, events, head, read_all, revision, skip, usual, within,
};
use crate::store::{Batch, Condition, Error, Expected, Filter, Position, Query, Revision};

/// A new store has no events, its head is the start, and reads end at once.
///
/// # Errors
/// What the store got wrong.
pub async fn an_empty_store_is_empty(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    check_eq("head", &head(&*store).await?, &Position::START)?;
    check_eq("revision", &revision(&*store, "s").await?, &None)?;
    check_eq("events", &read_all(&*store).await?.len(), &0)
}

/// After closing, subscriptions end and everything else says that the store is closed; closing twice is allowed.
///
/// # Errors
/// What the store got wrong.
pub async fn a_closed_store_refuses(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    append(&*store, &Batch::to_stream("s", [event("e")])).await?;
    let mut subscription = store.subscribe(Filter::all(), Position::START);
    let first = within("a subscription", subscription.next()).await?;
    check(matches!(first, Some(Ok(_))), || format!("a subscription yielded {first:?}"))?;

    for _ in 0..2 {
        within("close", store.close()).await?.map_err(|error| format!("close failed: {error}"))?;
    }

    let closed = |what: &str, error: Option<Error>| {
        check(matches!(error, Some(Error::Closed)), || {
            format!("{what} after closing gave {error:?} instead of `closed`")
        })
    };
    let batch = Batch::to_stream("s", [event("late")]);
    closed("append", within("append", store.append(batch, Condition::Any, usual(&*store))).await?.err())?;
    closed("head", within("head", store.head()).await?.err())?;
    closed("revision", within("revision", store.revision("s")).await?.err())?;
    let read = within("read", async { store.read(Query::default()).next().await }).await?;
    closed("read", read.and_then(Result::err))?;
    let subscribe = store.subscribe(Filter::all(), Position::START).next().await;
    check(matches!(subscribe, None | Some(Err(Error::Closed))), || {
        format!("subscribe after closing yielded {subscribe:?}")
    })?;
    let end = within("a subscription to a closed store", subscription.next()).await?;
    check(end.is_none(), || format!("a subscription to a closed store yielded {end:?}"))
}

/// A store that is opened again has the same events at the same places, goes on with positions, revisions and
/// conditions, and still recognises its batches.
///
/// # Errors
/// What the store got wrong.
pub async fn a_reopened_store_goes_on_where_it_stopped(factory: &mut dyn StoreFactory) -> Checked {
    let mut store = factory.open().await;
    let mut expected = Vec::new();
    for round in 0..3_u64 {
        let batch = Batch::to_stream("s", events("e", 2));
        let condition = match round {
            0 => Expected::NoStream,
            _ => Expected::Revision(Revision(2 * round - 1)),
        };
        let appended = append_if(&*store, &batch, Condition::stream("s", condition)).await?;
        let appended = appended.map_err(|error| format!("append after reopening failed: {error}"))?;
        expected.extend(read_all(&*store).await?.into_iter().skip(expected.len()));

        within("close", store.close()).await?.map_err(|error| format!("close failed: {error}"))?;
        drop(store);
        let Some(reopen) = factory.reopen() else { return skip("the store keeps nothing") };
        store = within("reopen", reopen).await?;
        check_eq("log after reopening", &read_all(&*store).await?, &expected)?;
        check_eq("head after reopening", &head(&*store).await?, &appended.position)?;
        check_eq("revision after reopening", &revision(&*store, "s").await?, &Some(appended.revision))?;
        if store.capabilities().deduplicated_events >= 2 {
            let again = append(&*store, &batch).await?;
            let place = (again.duplicate, again.position, again.revision);
            check_eq("duplicate after reopening", &place, &(true, appended.position, appended.revision))?;
        }
    }
    Ok(())
}
