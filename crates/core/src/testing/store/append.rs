use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use steadfast_base::TraceContext;

use super::StoreFactory;
use super::tools::{Checked, append, append_if, check, check_eq, event, events, read_all, usual, within};
use crate::Event;
use crate::store::{
    Batch, Condition, Durability, Error, Expected, NewEvent, Position, Revision, STREAM_NAME_BYTES_MAX,
};

/// Every attribute of an event comes back as it was, also where it is absent, empty or large.
///
/// # Errors
/// What the store got wrong.
pub async fn attributes_survive_the_round_trip(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let trace = TraceContext::new(7, 9, true).map_err(|error| error.to_string())?;
    let full = Event::new("/orders/é", "order.created")
        .subject("order 1 \u{1F4E6}")
        .time(SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789))
        .data_schema("https://example.com/schema/1")
        .extension("tenant", "a")
        .extension("empty", "")
        .trace(trace)
        .data("application/octet-stream", vec![0_u8, 255, 10, 13]);
    let bare = Event::new("", "").build();
    let old = Event::new("/old", "old").time(SystemTime::UNIX_EPOCH - Duration::new(1, 500_000_000)).build();
    let empty = Event::new("/e", "empty").subject("").data("", Vec::new());
    let large = Event::new("/l", "large").data("text/plain", vec![b'x'; 256 * 1024]);
    let sent = [full, bare, old, empty, large];
    for event in &sent {
        append(&*store, &Batch::to_stream("s", [event.clone()])).await?;
    }
    let log = read_all(&*store).await?;
    check_eq("number of events", &log.len(), &sent.len())?;
    for (stored, sent) in log.iter().zip(&sent) {
        check(stored.event == *sent, || {
            let shorten = |event: &Event| format!("{event:?}").chars().take(600).collect::<String>();
            format!("an event changed: got {}, expected {}", shorten(&stored.event), shorten(sent))
        })?;
    }
    Ok(())
}

/// Events stand in the order of their batch and batches in the order of their appends; the place that an append
/// returns is that of its last event.
///
/// # Errors
/// What the store got wrong.
pub async fn events_keep_the_order_of_their_batch(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let mut expected = Vec::new();
    for (round, size) in [1, 3, 2, 70, 1].into_iter().enumerate() {
        let stream = if round % 2 == 0 { "even" } else { "odd" };
        let batch = Batch::to_stream(stream, events("e", size));
        expected.extend(batch.events.iter().map(|new| (new.stream.clone(), new.event.id())));
        let appended = append(&*store, &batch).await?;
        check(!appended.duplicate, || "a new batch was taken for a duplicate".to_owned())?;
        let log = read_all(&*store).await?;
        let order: Vec<_> = log.iter().map(|stored| (stored.stream.clone(), stored.event.id())).collect();
        check_eq("order of events", &order, &expected)?;
        let place = log.last().map(|last| (last.position, last.revision));
        check_eq("place returned", &Some((appended.position, appended.revision)), &place)?;
    }
    Ok(())
}

/// A batch over several streams is appended whole where the store declares it, and refused where it does not.
///
/// # Errors
/// What the store got wrong.
pub async fn batches_over_several_streams_are_atomic_or_refused(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let new = |stream: &str| NewEvent { stream: stream.into(), event: event("e") };
    let batch = Batch { events: vec![new("a"), new("b"), new("a")] };
    match append_if(&*store, &batch, Condition::Any).await? {
        Ok(appended) => {
            check(store.capabilities().multi_stream, || "appended what is declared impossible".to_owned())?;
            check_eq("revision of the last event", &appended.revision, &Revision(1))?;
            let log = read_all(&*store).await?;
            let streams: Vec<&str> = log.iter().map(|stored| &*stored.stream).collect();
            check_eq("streams", &streams, &vec!["a", "b", "a"])
        }
        Err(Error::Unsupported { .. }) => {
            check(!store.capabilities().multi_stream, || "refused what is declared possible".to_owned())?;
            check_eq("events left behind", &read_all(&*store).await?.len(), &0)
        }
        Err(error) => Err(format!("expected success or `unsupported`, got: {error}")),
    }
}

/// A batch that is appended again returns where it stands and changes nothing, even if its condition no longer
/// holds; a batch that mixes known and new events is invalid.
///
/// # Errors
/// What the store got wrong.
pub async fn duplicate_batches_return_their_place(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let batch = Batch::to_stream("s", events("first", 3));
    let condition = Condition::stream("s", Expected::NoStream);
    let first = append_if(&*store, &batch, condition.clone()).await?.map_err(|error| error.to_string())?;
    append(&*store, &Batch::to_stream("s", events("second", 2))).await?;
    let before = read_all(&*store).await?;

    let again = append_if(&*store, &batch, condition).await?;
    let again = again.map_err(|error| format!("a repeated batch was refused: {error}"))?;
    check(again.duplicate, || "a repeated batch was not recognised".to_owned())?;
    check_eq("place of the duplicate", &(again.position, again.revision), &(first.position, first.revision))?;

    let known = batch.events[1].event.clone();
    for mixed in [vec![known.clone(), event("new")], vec![event("new"), known.clone()], vec![known]] {
        let outcome = append_if(&*store, &Batch::to_stream("s", mixed), Condition::Any).await?;
        check(matches!(outcome, Err(Error::Invalid { .. })), || {
            format!("a batch that repeats part of another gave {outcome:?} instead of `invalid`")
        })?;
    }
    check_eq("log after duplicates", &read_all(&*store).await?, &before)
}

/// A batch that several append at the same time stands once, and all are told the same place.
///
/// # Errors
/// What the store got wrong.
pub async fn batches_appended_twice_at_once_stand_once(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    for round in 0..20 {
        let batch = Batch::to_stream(format!("s{round}"), events("e", 1 + round % 2));
        let condition = Condition::stream(format!("s{round}"), Expected::NoStream);
        let mut appends = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (store, batch, condition) = (Arc::clone(&store), batch.clone(), condition.clone());
            appends.spawn(async move { append_if(&*store, &batch, condition).await });
        }
        let mut places = Vec::new();
        for outcome in appends.join_all().await {
            let appended = outcome?.map_err(|error| format!("one of equal appends failed: {error}"))?;
            places.push((appended.duplicate, appended.position, appended.revision));
        }
        places.sort_unstable();
        let (_, position, revision) = places[0];
        let expected: Vec<_> = [false, true, true, true].map(|twice| (twice, position, revision)).into();
        check_eq("places of equal appends", &places, &expected)?;
    }
    check_eq("events", &read_all(&*store).await?.len(), &30)
}

/// A batch whose append was dropped is whole or absent, and appending it again tells.
///
/// # Errors
/// What the store got wrong.
pub async fn dropped_appends_are_whole_or_absent(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let mut sent = Vec::new();
    for round in 0..30 {
        let batch = Batch::to_stream("s", events("e", 3));
        let mut append = store.append(batch.clone(), Condition::Any, usual(&*store));
        // Dropped before it is polled, after it is, and a little later.
        for _ in 0..round % 3 {
            if append.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
        sent.push(batch);
    }
    for batch in &sent {
        append(&*store, batch).await?;
    }
    let log = read_all(&*store).await?;
    check_eq("number of events", &log.len(), &(3 * sent.len()))?;
    let together = log.chunks(3).all(|part| {
        let ids = part.iter().map(|stored| stored.event.id());
        sent.iter().any(|batch| ids.clone().eq(batch.events.iter().map(|new| new.event.id())))
    });
    check(together, || "the events of a dropped append do not stand together".to_owned())
}

/// Empty batches, bad names of streams and ids that repeat within a batch are refused and leave nothing.
///
/// # Errors
/// What the store got wrong.
pub async fn invalid_batches_are_refused(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let twice = event("twice");
    let invalid = [
        ("no event", Batch::default()),
        ("an empty name", Batch::to_stream("", [event("e")])),
        ("a name too long", Batch::to_stream("n".repeat(STREAM_NAME_BYTES_MAX + 1), [event("e")])),
        ("an id twice", Batch::to_stream("s", [twice.clone(), twice])),
    ];
    for (what, batch) in invalid {
        let outcome = append_if(&*store, &batch, Condition::Any).await?;
        check(matches!(outcome, Err(Error::Invalid { .. })), || {
            format!("a batch with {what} gave {outcome:?} instead of `invalid`")
        })?;
    }
    check_eq("events left behind", &read_all(&*store).await?.len(), &0)?;
    append(&*store, &Batch::to_stream("n".repeat(STREAM_NAME_BYTES_MAX), [event("e")])).await?;
    check_eq("events", &read_all(&*store).await?.len(), &1)
}

/// A durability above what the store declares is refused, never lowered.
///
/// # Errors
/// What the store got wrong.
pub async fn unsupported_durability_is_refused(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let max = store.capabilities().durability_max;
    for durability in LEVELS.into_iter().filter(|level| *level > max) {
        let batch = Batch::to_stream("s", [event("e")]);
        let outcome = within("append", store.append(batch, Condition::Any, durability)).await?;
        check(matches!(outcome, Err(Error::Unsupported { .. })), || {
            format!("durability {durability} above {max} gave {outcome:?} instead of `unsupported`")
        })?;
    }
    check_eq("events left behind", &read_all(&*store).await?.len(), &0)
}

/// An append reports at least the durability asked for and at most what the store declares, also for a duplicate
/// that was appended with less before.
///
/// # Errors
/// What the store got wrong.
pub async fn achieved_durability_is_at_least_what_was_asked(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let max = store.capabilities().durability_max;
    let repeated = Batch::to_stream("repeated", [event("e")]);
    let mut last = Position::START;
    for asked in LEVELS.into_iter().filter(|level| *level <= max) {
        for batch in [Batch::to_stream("s", [event("e")]), repeated.clone()] {
            let appended = within("append", store.append(batch, Condition::Any, asked)).await?;
            let appended = appended.map_err(|error| format!("append as {asked} failed: {error}"))?;
            let achieved = appended.achieved;
            check((asked..=max).contains(&achieved), || {
                format!("asked for {asked} of at most {max}, achieved {achieved}")
            })?;
            last = last.max(appended.position);
        }
    }
    check(usual(&*store) <= max && last > Position::START, || "nothing was appended".to_owned())
}

const LEVELS: [Durability; 4] =
    [Durability::Accepted, Durability::Written, Durability::Durable, Durability::Replicated];
