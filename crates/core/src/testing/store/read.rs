use std::sync::Arc;

use super::StoreFactory;
use super::tools::{Checked, append, check_eq, read, read_all};
use crate::Event;
use crate::store::{Batch, Direction, EventStore, Filter, Position, Query, StoredEvent};

/// A filter lets exactly those events pass whose stream, type and subject are listed.
///
/// # Errors
/// What the store got wrong.
pub async fn filters_select(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let log = fill(&*store).await?;
    let list = |names: &[&str]| -> Vec<Arc<str>> { names.iter().map(|name| Arc::from(*name)).collect() };
    for streams in [&[][..], &["s0"], &["s1", "s2"], &["absent"], &["s"]] {
        for kinds in [&[][..], &["k0"], &["k1", "absent"]] {
            for subjects in [&[][..], &["x0"], &["x1", "x0"], &[""]] {
                let filter = Filter { streams: list(streams), kinds: list(kinds), subjects: list(subjects) };
                let expected: Vec<StoredEvent> =
                    log.iter().filter(|e| filter.matches(&e.stream, &e.event)).cloned().collect();
                let what = format!("events that pass {filter:?}");
                let query = Query { filter, ..Query::default() };
                check_eq(&what, &read(&*store, query).await?, &expected)?;
            }
        }
    }
    Ok(())
}

/// A query reads forward after, or backward before, its position, and yields at most its limit.
///
/// # Errors
/// What the store got wrong.
pub async fn queries_honour_direction_from_and_limit(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    let log = fill(&*store).await?;
    let positions = log.iter().map(|stored| stored.position);
    let beyond = Position::from_parts(u64::MAX, u64::MAX);
    for filter in [Filter::all(), Filter::stream("s1")] {
        for from in positions.clone().step_by(5).chain([Position::START, beyond]).map(Some).chain([None]) {
            for limit in [None, Some(0), Some(1), Some(7), Some(1000)] {
                for direction in [Direction::Forward, Direction::Backward] {
                    let selected = log.iter().filter(|e| filter.matches(&e.stream, &e.event)).cloned();
                    let limit_events = limit.map_or(usize::MAX, |limit| limit as usize);
                    let expected: Vec<StoredEvent> = match direction {
                        Direction::Forward => selected
                            .filter(|e| from.is_none_or(|from| e.position > from))
                            .take(limit_events)
                            .collect(),
                        Direction::Backward => selected
                            .filter(|e| from.is_none_or(|from| e.position < from))
                            .rev()
                            .take(limit_events)
                            .collect(),
                    };
                    let query = Query { filter: filter.clone(), from, direction, limit };
                    let what = format!("events of {query:?}");
                    check_eq(&what, &read(&*store, query).await?, &expected)?;
                }
            }
        }
    }
    Ok(())
}

/// Appends batches over three streams, three types and, for two events of three, two subjects.
async fn fill(store: &dyn EventStore) -> Result<Vec<StoredEvent>, String> {
    for batch in 0..12_usize {
        let events = (0..=batch % 3).map(|i| {
            let event = Event::new("/conformance", format!("k{}", (batch + i) % 3));
            match (batch * 2 + i) % 3 {
                2 => event.build(),
                subject => event.subject(format!("x{subject}")).build(),
            }
        });
        append(store, &Batch::to_stream(format!("s{}", batch % 3), events)).await?;
    }
    read_all(store).await
}
