use std::sync::Arc;

use super::StoreFactory;
use super::tools::{Checked, append, append_if, check, check_eq, event, events, read, read_all, revision};
use crate::store::{
    Batch, Condition, Error, EventStore, Expected, Filter, Position, Query, Revision, StreamCondition,
};

/// [`Expected::NoStream`] holds until the stream's first event.
///
/// # Errors
/// What the store got wrong.
pub async fn expected_no_stream(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    append(&*store, &Batch::to_stream("other", [event("e")])).await?;
    holds(&*store, Condition::stream("s", Expected::NoStream)).await?;
    conflicts(&*store, Condition::stream("s", Expected::NoStream), "s", Some(Revision(0))).await
}

/// [`Expected::Exists`] holds from the stream's first event on.
///
/// # Errors
/// What the store got wrong.
pub async fn expected_exists(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    append(&*store, &Batch::to_stream("other", [event("e")])).await?;
    conflicts(&*store, Condition::stream("s", Expected::Exists), "s", None).await?;
    holds(&*store, Condition::Any).await?;
    holds(&*store, Condition::stream("s", Expected::Exists)).await
}

/// [`Expected::Revision`] holds for the newest revision alone, and all of several conditions must hold, also on
/// streams that the batch does not write to.
///
/// # Errors
/// What the store got wrong.
pub async fn expected_revision(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let expected = |stream: &str, revision| Condition::stream(stream, Expected::Revision(Revision(revision)));
    conflicts(&*store, expected("s", 0), "s", None).await?;
    append(&*store, &Batch::to_stream("s", events("e", 3))).await?;
    append(&*store, &Batch::to_stream("other", events("e", 9))).await?;
    for wrong in [0, 1, 3, 8] {
        conflicts(&*store, expected("s", wrong), "s", Some(Revision(2))).await?;
    }
    holds(&*store, expected("s", 2)).await?;

    let both = |other: Expected| {
        Condition::Streams(vec![
            StreamCondition { stream: "s".into(), expected: Expected::Revision(Revision(3)) },
            StreamCondition { stream: "other".into(), expected: other },
        ])
    };
    conflicts(&*store, both(Expected::NoStream), "other", Some(Revision(8))).await?;
    holds(&*store, both(Expected::Revision(Revision(8)))).await
}

/// [`Condition::NoneMatching`] holds until an event that passes the filter is appended after the position.
///
/// # Errors
/// What the store got wrong.
pub async fn none_matching(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let none = |kind: &str, after| Condition::NoneMatching {
        filter: Filter { kinds: vec![kind.into()], ..Filter::default() },
        after,
    };
    let first = append(&*store, &Batch::to_stream("a", [event("charged")])).await?.position;
    conflicts(&*store, none("charged", Position::START), "", None).await?;
    holds(&*store, none("charged", first)).await?;
    holds(&*store, none("refunded", Position::START)).await?;
    append(&*store, &Batch::to_stream("b", [event("reserved"), event("charged")])).await?;
    holds(&*store, none("refunded", first)).await?;
    conflicts(&*store, none("charged", first), "", None).await?;
    conflicts(&*store, Condition::NoneMatching { filter: Filter::all(), after: first }, "", None).await
}

/// An append that conflicts changes neither log nor revision, and its batch can be appended afterwards.
///
/// # Errors
/// What the store got wrong.
pub async fn a_conflict_leaves_nothing_behind(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    append(&*store, &Batch::to_stream("s", [event("e")])).await?;
    let before = read_all(&*store).await?;
    let batch = Batch::to_stream("s", events("late", 2));
    let outcome = append_if(&*store, &batch, Condition::stream("s", Expected::NoStream)).await?;
    check(matches!(outcome, Err(Error::Conflict { .. })), || {
        format!("expected a conflict, got {outcome:?}")
    })?;
    check_eq("log after the conflict", &read_all(&*store).await?, &before)?;
    check_eq("revision after the conflict", &revision(&*store, "s").await?, &Some(Revision(0)))?;
    let appended = append(&*store, &batch).await?;
    check(!appended.duplicate, || "a batch that conflicted was taken for appended".to_owned())?;
    check_eq("revision", &appended.revision, &Revision(2))
}

/// Writers that race for the next revision of a stream win one each, and none is won twice.
///
/// # Errors
/// What the store got wrong.
pub async fn one_of_many_concurrent_writers_wins_each_revision(factory: &mut dyn StoreFactory) -> Checked {
    const WRITERS: usize = 4;
    const WINS: usize = 10;
    let store = factory.open().await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut wins = Vec::new();
            while wins.len() < WINS {
                let seen = revision(&*store, "s").await?;
                let expected = seen.map_or(Expected::NoStream, Expected::Revision);
                let batch = Batch::to_stream("s", [event("e")]);
                // Lets the others read the same revision, also on a store that never waits.
                tokio::task::yield_now().await;
                match append_if(&*store, &batch, Condition::stream("s", expected)).await? {
                    Ok(won)
                        if Some(won.revision) == seen.map_or(Some(Revision(0)), |seen| Some(seen.next())) =>
                    {
                        wins.push(won.revision.0);
                    }
                    Ok(won) => return Err(format!("revision {} was won on top of {seen:?}", won.revision)),
                    Err(Error::Conflict { .. }) => {}
                    Err(error) => return Err(format!("append failed: {error}")),
                }
            }
            Ok(wins)
        });
    }
    let mut wins: Vec<u64> = writers.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    wins.sort_unstable();
    let expected: Vec<u64> = (0..(WRITERS * WINS) as u64).collect();
    check_eq("revisions won", &wins, &expected)?;
    check_eq("events", &read_all(&*store).await?.len(), &(WRITERS * WINS))
}

/// What an append conflicts with is readable once the conflict is told: whoever decides anew sees it, and need not guess
/// how long to wait.
///
/// # Errors
/// What the store got wrong.
pub async fn what_a_conflict_rests_on_is_readable(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    for round in 0..40 {
        let stream: Arc<str> = format!("s{round}").into();
        let attempt = async || {
            let condition = match round % 2 {
                0 => Condition::stream(Arc::clone(&stream), Expected::NoStream),
                _ => Condition::NoneMatching {
                    filter: Filter::stream(Arc::clone(&stream)),
                    after: Position::START,
                },
            };
            match append_if(&*store, &Batch::to_stream(Arc::clone(&stream), [event("e")]), condition).await? {
                Ok(_) => Ok(()),
                Err(Error::Conflict { .. }) => {
                    check_eq(
                        "revision after a conflict",
                        &revision(&*store, &stream).await?,
                        &Some(Revision(0)),
                    )?;
                    let events = read(&*store, Query::stream(Arc::clone(&stream))).await?;
                    check_eq("events after a conflict", &events.len(), &1)
                }
                Err(error) => Err(format!("append failed: {error}")),
            }
        };
        // The others come before the first is answered.
        let (first, second, third) = tokio::join!(attempt(), attempt(), attempt());
        first.and(second).and(third)?;
    }
    Ok(())
}

async fn holds(store: &dyn EventStore, condition: Condition) -> Checked {
    let described = format!("{condition:?}");
    let outcome = append_if(store, &Batch::to_stream("s", [event("e")]), condition).await?;
    outcome.map(drop).map_err(|error| format!("{described} should hold, got: {error}"))
}

async fn conflicts(
    store: &dyn EventStore,
    condition: Condition,
    expected_stream: &str,
    expected_actual: Option<Revision>,
) -> Checked {
    let described = format!("{condition:?}");
    match append_if(store, &Batch::to_stream("s", [event("e")]), condition).await? {
        Err(Error::Conflict { stream, actual }) => {
            check_eq("stream in conflict", &&*stream, &expected_stream)?;
            check_eq("revision in conflict", &actual, &expected_actual)
        }
        other => Err(format!("{described} should conflict, got {other:?}")),
    }
}
