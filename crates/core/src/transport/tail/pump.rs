use std::sync::Arc;

use futures::StreamExt;
use steadfast_base::{Backoff, Seed};
use tokio::sync::{mpsc, watch};

use crate::Event;
use crate::store::{Error, EventStore, Filter, Position, StoredEvent};
use crate::transport::Link;

/// Carries what is appended after `after` and wanted into `events`, until the store closes or nobody takes it any
/// more. A store that cannot be read is asked again; damage is passed on and ends it.
pub(crate) async fn pump(
    store: Arc<dyn EventStore>,
    filter: Filter,
    mut after: Position,
    wanted: impl Fn(&Event) -> bool,
    events: mpsc::Sender<Result<StoredEvent, Error>>,
    link: Arc<watch::Sender<Link>>,
) {
    let (backoff, mut rng) = (Backoff::default(), Seed::random().stream("tail"));
    let mut failures = 0;
    loop {
        let mut stored = store.subscribe(filter.clone(), after);
        let failure = loop {
            match stored.next().await {
                None => return,
                Some(Ok(stored)) => {
                    (after, failures) = (stored.position, 0);
                    tell(&link, Link::Up);
                    if wanted(&stored.event) && events.send(Ok(stored)).await.is_err() {
                        return;
                    }
                }
                Some(Err(Error::Closed)) => return,
                Some(Err(error @ Error::Damaged { .. })) => {
                    // Whoever receives is told; if nobody does, nothing is to be done.
                    let _ = events.send(Err(error)).await;
                    return;
                }
                Some(Err(error)) => break error,
            }
        };
        drop(stored);
        let wait = backoff.delay(failures, &mut rng);
        tracing::warn!(failures, error = %failure, ?wait, "reading the store again later");
        tell(&link, Link::Down { attempts: failures, reason: failure.to_string().into() });
        failures = failures.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}

fn tell(link: &watch::Sender<Link>, now: Link) {
    link.send_if_modified(|link| {
        let changes = *link != Link::Closed && *link != now;
        if changes {
            *link = now;
        }
        changes
    });
}
