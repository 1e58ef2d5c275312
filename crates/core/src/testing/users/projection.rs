use std::convert::Infallible;
use std::sync::Arc;

use super::life::Lives;
use crate::EventId;
use crate::projection::{MemoryView, Projector, Settings};
use crate::store::{Batch, StoredEvent};
use crate::testing::store::StoreFactory;
use crate::testing::store::tools::{Checked, append, check, event, events, read_all, within};

const EVENTS: usize = 90;

/// A projection that is run, stopped in the middle, and run again on the store that was opened anew counts each event
/// once and in order, while others append; one that is rebuilt beside it comes to the same.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn a_projection_counts_each_event_once_and_is_rebuilt(factory: &mut dyn StoreFactory) -> Checked {
    let mut lives = Lives::begin(factory).await;
    let (count, counted) = tokio::sync::watch::channel(0);
    let empty = || {
        let count = count.clone();
        Arc::new(MemoryView::new(Vec::new(), move |seen: &mut Vec<EventId>, stored: &StoredEvent| {
            seen.push(stored.event.id());
            count.send_replace(seen.len());
            Ok::<_, Infallible>(())
        }))
    };
    let view = empty();
    let mut appended = 0;
    while appended < EVENTS {
        // A life of some events; batches of three, so that a projection may end amid one.
        let target = EVENTS.min(appended + 3 + 3 * usize::try_from(lives.rng.below(12)).unwrap_or(0));
        let settings = Settings { batch_max: 4, ..Settings::default() };
        let store = Arc::clone(&lives.store);
        let projector = Projector::new("conformance", Arc::clone(&store), Arc::clone(&view), settings);
        let mut counted = counted.clone();
        let begun = appended;
        let work = async {
            while appended < target {
                append(&*store, &Batch::to_stream("s", events("e", 3))).await?;
                appended += 3;
            }
            // Not to the end: the rest is for the next life.
            let _ = counted.wait_for(|counted| *counted > begun).await;
            Ok::<_, String>(())
        };
        let life = async {
            tokio::select! {
                worked = work => worked,
                ended = projector.run() => Err(format!("the projection ended: {ended:?}")),
            }
        };
        within("the life of a projection", life).await??;
        drop((projector, store));
        lives.next().await?;
    }
    let store = Arc::clone(&lives.store);
    let projector = Projector::new("conformance", Arc::clone(&store), view, Settings::default());
    let rebuild = async {
        let rebuilt = projector.rebuild(empty()).await;
        rebuilt.map_err(|error| format!("rebuilding failed: {error}"))
    };
    let more = async {
        for _ in 0..10 {
            append(&*store, &Batch::to_stream("t", [event("more")])).await?;
        }
        Ok::<_, String>(())
    };
    let (before, more) = tokio::join!(within("rebuilding", rebuild), more);
    more?;
    let before = before??;
    let after = Projector::new("conformance", Arc::clone(&store), before, Settings::default());
    let log = read_all(&*store).await?;
    for (what, projector) in [("the view that was replaced", after), ("the one that was rebuilt", projector)]
    {
        let caught_up = within("catching up", projector.catch_up()).await?;
        caught_up.map_err(|error| format!("catching up failed: {error}"))?;
        let seen = projector.view().look(Vec::clone);
        check(log.iter().map(|stored| stored.event.id()).eq(seen.iter().copied()), || {
            format!("{what} has {} events, not the {} of the log in their order", seen.len(), log.len())
        })?;
    }
    Ok(())
}
