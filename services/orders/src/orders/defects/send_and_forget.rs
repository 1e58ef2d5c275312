use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use steadfast::base::Deadline;
use steadfast::core::store::{Durability, EventStore, Filter, Position};
use steadfast::core::transport::Sink;
use tokio_util::sync::CancellationToken;

/// How long the one attempt may take.
const SEND_WITHIN: Duration = Duration::from_millis(500);

/// Sends to `sink` what is appended from now on and matches `filter`, each event once, whatever comes of it: what most
/// services do that write to a database and then to a broker.
pub(in crate::orders) async fn send_and_forget(
    store: Arc<dyn EventStore>,
    filter: Filter,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
) {
    let from = store.head().await.unwrap_or(Position::START);
    let mut stored = store.subscribe(filter, from);
    while let Some(Some(Ok(stored))) = stop.run_until_cancelled(stored.next()).await {
        let deadline = Deadline::within(SEND_WITHIN);
        if let Err(error) = sink.send(&[stored.event], Durability::Accepted, deadline).await {
            tracing::debug!(%error, "an event is forgotten, on purpose");
        }
    }
}
