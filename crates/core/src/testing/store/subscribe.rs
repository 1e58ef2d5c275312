use std::sync::Arc;

use futures::StreamExt;

use super::StoreFactory;
use super::tools::{Checked, append, check, check_eq, event, events, read_all, within};
use crate::store::{Batch, EventStore, Filter, Position, StoredEvent};

/// A subscription yields what is stored and then what comes, each event once and in order, wherever in the stream
/// of concurrent appends it begins.
///
/// # Errors
/// What the store got wrong.
pub async fn subscriptions_have_no_gap_and_no_repeat(factory: &mut dyn StoreFactory) -> Checked {
    const APPENDERS: usize = 3;
    const BATCHES: usize = 30;
    let store = factory.open().await;
    append(&*store, &Batch::to_stream("before", events("before", 5))).await?;

    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..APPENDERS {
        let store = Arc::clone(&store);
        appenders.spawn(async move {
            for batch in 0..BATCHES {
                let events = events("live", 1 + batch % 3);
                append(&*store, &Batch::to_stream(format!("s{appender}"), events)).await?;
                tokio::task::yield_now().await;
            }
            Ok::<(), String>(())
        });
    }
    let mut subscribers = tokio::task::JoinSet::new();
    for subscriber in 0..6 {
        let store = Arc::clone(&store);
        let filter = if subscriber % 2 == 0 { Filter::all() } else { Filter::stream("s1") };
        subscribers.spawn(async move {
            let seen = collect_until_end(&*store, filter.clone()).await?;
            Ok::<_, String>((filter, seen))
        });
        // Later subscribers begin while appends run.
        tokio::task::yield_now().await;
    }
    appenders.join_all().await.into_iter().collect::<Checked>()?;
    for stream in ["s0", "s1"] {
        append(&*store, &Batch::to_stream(stream, [event("end")])).await?;
    }

    let log = read_all(&*store).await?;
    for outcome in subscribers.join_all().await {
        let (filter, seen) = outcome?;
        let mut expected: Vec<_> =
            log.iter().filter(|e| filter.matches(&e.stream, &e.event)).cloned().collect();
        expected.truncate(seen.len().max(1));
        check(expected.last().is_some_and(is_end), || {
            format!("a subscription missed or repeated events: it had seen {} at the end", seen.len())
        })?;
        check_eq("events of a subscription", &seen, &expected)?;
    }
    Ok(())
}

/// A subscription after a position yields the event behind that position first.
///
/// # Errors
/// What the store got wrong.
pub async fn subscriptions_begin_after_their_position(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    append(&*store, &Batch::to_stream("s", events("e", 4))).await?;
    let log = read_all(&*store).await?;
    for (index, stored) in log.iter().enumerate().take(3) {
        let mut subscription = store.subscribe(Filter::all(), stored.position);
        let next = within("a subscription", subscription.next()).await?;
        let next = next.transpose().map_err(|error| format!("a subscription failed: {error}"))?;
        check_eq("first event of a subscription", &next.as_ref(), &log.get(index + 1))?;
    }

    // From the head on, the first event is one that comes.
    let head = log.last().map_or(Position::START, |last| last.position);
    let mut subscription = store.subscribe(Filter::stream("s"), head);
    let pending = tokio::time::timeout(std::time::Duration::from_millis(20), subscription.next()).await;
    check(pending.is_err(), || format!("a subscription at the head yielded {pending:?}"))?;
    append(&*store, &Batch::to_stream("other", [event("other")])).await?;
    let appended = append(&*store, &Batch::to_stream("s", [event("live")])).await?;
    let next = within("a subscription", subscription.next()).await?;
    let next = next.transpose().map_err(|error| format!("a subscription failed: {error}"))?;
    check_eq("first live event", &next.map(|stored| stored.position), &Some(appended.position))
}

fn is_end(stored: &StoredEvent) -> bool {
    stored.event.kind() == "end"
}

async fn collect_until_end(store: &dyn EventStore, filter: Filter) -> Result<Vec<StoredEvent>, String> {
    let mut subscription = store.subscribe(filter, Position::START);
    let mut seen = Vec::new();
    loop {
        let next = within("a subscription", subscription.next()).await?;
        let stored = next.ok_or("a subscription ended before the store closed")?;
        let stored = stored.map_err(|error| format!("a subscription failed: {error}"))?;
        let end = is_end(&stored);
        seen.push(stored);
        if end {
            return Ok(seen);
        }
    }
}
